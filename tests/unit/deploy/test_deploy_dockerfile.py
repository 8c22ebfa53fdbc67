"""The image: what goes into it, and how it is started."""

import json
import re

import pytest
from deploy_stack import IMAGES, ROOT, compose, load

from exporter import __version__
from exporter.cli import DEFAULT_PORT, _parser

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
BUILD, FINAL = TEXT.split("\n\n\n")


def instruction(name: str) -> str:
    """The last one of this name in the final stage."""
    return re.findall(rf"^{name} +(.*)$", FINAL, re.MULTILINE)[-1].strip()


def test_both_stages_stand_on_the_same_pinned_python() -> None:
    assert re.search(r"^ARG PYTHON_TAG=3\.\d+\.\d+-slim-\w+$", TEXT, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE) == ["python:${PYTHON_TAG}"] * 2


def test_what_is_downloaded_is_checked_against_the_lock_files() -> None:
    downloads = re.findall(r"pip (?:--\S+ \S+ )?(?:download|install|wheel) [^&;\n]*", BUILD)
    assert len(downloads) == 6
    for command in downloads:
        hashed = "--require-hashes" in command and re.search(r"--requirement requirements(-model)?\.lock", command)
        assert hashed or "--no-index" in command, command


def test_the_final_image_has_the_virtual_environment_and_no_installer() -> None:
    assert re.findall(r"^COPY .*$", FINAL, re.MULTILINE) == ["COPY --from=build /opt/lmwatch /opt/lmwatch"]
    assert "pip uninstall --yes" in FINAL
    assert "--without-pip /opt/lmwatch" in BUILD


def test_it_runs_as_the_user_and_on_the_port_that_the_stack_expects() -> None:
    image = IMAGES[f"lmwatch:{__version__}"]
    assert instruction("USER") == image.user
    assert int(instruction("EXPOSE")) == image.port == DEFAULT_PORT
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert f"install -d -o 65532 -g 65532 {image.state}" in FINAL
    assert f"ARG VERSION={__version__}\n" in FINAL


def test_it_starts_what_the_compose_file_starts() -> None:
    command = json.loads(instruction("CMD"))
    assert json.loads(instruction("ENTRYPOINT")) == ["lmwatch"]
    assert command == compose()["services"]["lmwatch"]["command"]
    _parser().parse_args(command)


def test_its_health_check_is_that_of_the_compose_file() -> None:
    probe = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    assert ["CMD", *probe] == compose()["services"]["lmwatch"]["healthcheck"]["test"]


def test_nothing_reaches_the_build_but_what_is_listed() -> None:
    first, *entries = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    listed = {entry.removeprefix("!") for entry in entries if entry.startswith("!")}
    needed = {"exporter", "pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-model.lock"}
    assert needed <= listed
    assert not listed & {"deploy", "tests", ".git", "."}


@pytest.mark.parametrize("file", ["deploy/kubernetes/deployment.yaml", "docker-compose.yml"])
def test_the_version_is_the_same_everywhere(file: str) -> None:
    assert load(file)
    assert set(re.findall(r"image: lmwatch:([0-9.]+)", (ROOT / file).read_text())) == {__version__}
