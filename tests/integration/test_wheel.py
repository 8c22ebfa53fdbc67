"""The wheel that people install, without the checkout around it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from real_programs import ROOT

pytestmark = pytest.mark.integration

BUILD = "import sys; from hatchling.build import build_wheel, build_editable; print({}(sys.argv[1]))"


def built(kind: str, folder: Path) -> zipfile.ZipFile:
    """A wheel of this checkout, built without a network."""
    command = [sys.executable, "-c", BUILD.format(kind), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(folder / done.stdout.split()[-1])


def written(folder: Path, *path: Path) -> dict[str, bytes]:
    """What `lmwatch rules` and `lmwatch dashboards` write, by name, with these folders to import from."""
    script = (
        "from exporter import cli, shipped; from exporter.web.markdown import to_html;"
        "assert 'lmwatchdown' in to_html(shipped.runbooks()); cli.main(['rules', '--output', 'written']);"
        "cli.main(['dashboards', '--output', 'written'])"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {file.name: file.read_bytes() for file in (folder / "written").iterdir()}


SHIPPED = {
    path.name: path.read_bytes()
    for path in (*(ROOT / "rules").glob("*.rules.yml"), *(ROOT / "grafana/dashboards").glob("*.json"))
}


def test_an_installed_wheel_has_the_rules_the_runbooks_and_the_dashboards(tmp_path: Path):
    with built("build_wheel", tmp_path) as wheel:
        wheel.extractall(tmp_path / "installed")
    assert written(tmp_path, tmp_path / "installed") == SHIPPED


def test_an_editable_install_reads_the_checkout(tmp_path: Path):
    """The build puts copies into it, which go stale while somebody edits them: they are not read."""
    with built("build_editable", tmp_path) as wheel:
        wheel.extractall(tmp_path / "installed")
    for copy in ((tmp_path / "installed") / "exporter/_shipped").rglob("*.*"):
        copy.write_text("stale")
    assert written(tmp_path, tmp_path / "installed", ROOT) == SHIPPED
