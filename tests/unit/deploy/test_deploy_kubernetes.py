"""The manifests fit together, and the rules in them are those of rules/."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_stack import IMAGES, ROOT, load

from exporter.cli import _parser
from exporter.loading import load as load_config

FOLDER = ROOT / "deploy/kubernetes"
GENERATOR = FOLDER / "build.py"
KINDS = {
    "configmap.yaml": ("v1", "ConfigMap"),
    "deployment.yaml": ("apps/v1", "Deployment"),
    "kustomization.yaml": ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
    "networkpolicy.yaml": ("networking.k8s.io/v1", "NetworkPolicy"),
    "persistentvolumeclaim.yaml": ("v1", "PersistentVolumeClaim"),
    "prometheusrule.yaml": ("monitoring.coreos.com/v1", "PrometheusRule"),
    "secret.example.yaml": ("v1", "Secret"),
    "service.yaml": ("v1", "Service"),
    "servicemonitor.yaml": ("monitoring.coreos.com/v1", "ServiceMonitor"),
}
DEPLOYMENT = load("deploy/kubernetes/deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]
[CONTAINER] = POD["spec"]["containers"]
LABELS = {"app.kubernetes.io/name": "lmwatch"}


def manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = load(f"deploy/kubernetes/{name}")
    return document


def test_each_manifest_is_known_and_applied() -> None:
    assert {file.name for file in FOLDER.glob("*.yaml")} == set(KINDS)
    applied = set(manifest("kustomization.yaml")["resources"])
    assert applied == set(KINDS) - {"kustomization.yaml", "secret.example.yaml"}


@pytest.mark.parametrize("name", KINDS)
def test_a_manifest_says_what_it_is(name: str) -> None:
    document = manifest(name)
    assert (document["apiVersion"], document["kind"]) == KINDS[name]
    if name != "kustomization.yaml":
        assert document["metadata"] == {"name": "lmwatch", "labels": LABELS}


def test_selectors_find_the_pods_and_the_service() -> None:
    assert POD["metadata"]["labels"] == LABELS
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        manifest("service.yaml")["spec"]["selector"],
        manifest("networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"],
        manifest("servicemonitor.yaml")["spec"]["selector"]["matchLabels"],
    ]
    assert selectors == [LABELS] * 4


def test_the_port_has_one_name_and_number() -> None:
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": IMAGES[CONTAINER["image"]].port}]
    assert manifest("service.yaml")["spec"]["ports"] == [{"name": "http", "port": 9917, "targetPort": "http"}]
    assert manifest("servicemonitor.yaml")["spec"]["endpoints"][0]["port"] == "http"
    assert manifest("networkpolicy.yaml")["spec"]["ingress"][0]["ports"][0]["port"] == "http"
    probes = [CONTAINER[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert [(probe["path"], probe["port"]) for probe in probes] == [
        ("/-/healthy", "http"),
        ("/-/healthy", "http"),
        ("/-/ready", "http"),
    ]


def test_scores_keep_their_labels() -> None:
    endpoint = manifest("servicemonitor.yaml")["spec"]["endpoints"][0]
    assert endpoint["honorLabels"] is True
    (drop,) = endpoint["relabelings"]
    assert drop["action"] == "labeldrop"
    attached = {"namespace", "service", "pod", "container", "endpoint", "node"}
    assert {name for name in (*attached, "job", "instance") if re.fullmatch(drop["regex"], name)} == attached


def test_the_arguments_name_files_that_are_mounted() -> None:
    arguments = _parser().parse_args(CONTAINER["args"])
    places = {mount["name"]: Path(mount["mountPath"]) for mount in CONTAINER["volumeMounts"]}
    assert arguments.config.parent == places["config"]
    assert arguments.config.name in manifest("configmap.yaml")["data"]
    assert set(places) == {volume["name"] for volume in POD["spec"]["volumes"]}


def test_volumes_come_from_what_is_applied() -> None:
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == manifest("configmap.yaml")["metadata"]["name"]
    assert volumes["secrets"]["secret"]["secretName"] == manifest("secret.example.yaml")["metadata"]["name"]
    assert (
        volumes["data"]["persistentVolumeClaim"]["claimName"]
        == manifest("persistentvolumeclaim.yaml")["metadata"]["name"]
    )


def test_lmwatch_accepts_the_configuration(tmp_path: Path) -> None:
    secrets = next(mount["mountPath"] for mount in CONTAINER["volumeMounts"] if mount["name"] == "secrets")
    for key, value in manifest("secret.example.yaml")["stringData"].items():
        (tmp_path / key).write_text(value)
    text = manifest("configmap.yaml")["data"]["lmwatch.yml"]
    assert secrets in text
    (tmp_path / "lmwatch.yml").write_text(text.replace(secrets, str(tmp_path)))
    config = load_config(tmp_path / "lmwatch.yml")
    assert config.journal is not None
    assert config.journal.path.parent == Path(IMAGES[CONTAINER["image"]].state)


def test_the_pod_meets_the_restricted_pod_security_standard() -> None:
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert f"{pod['runAsUser']}:{pod['runAsGroup']}" == IMAGES[CONTAINER["image"]].user
    assert pod["runAsNonRoot"] is True
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False


def generate(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    script = tree / "deploy/kubernetes/build.py"
    return subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with the generator and two files of rules."""
    (tmp_path / "deploy/kubernetes").mkdir(parents=True)
    (tmp_path / "deploy/kubernetes/build.py").write_text(GENERATOR.read_text())
    (tmp_path / "rules").mkdir()
    for name in ("b", "a"):
        rules = [{"alert": name.upper(), "expr": 'up{job="x"} == 0', "annotations": {"description": "One.\nTwo.\n"}}]
        (tmp_path / f"rules/{name}.rules.yml").write_text(yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}))
    (tmp_path / "rules/notes.yml").write_text("not: rules\n")
    return tmp_path


def test_the_rules_in_the_manifest_are_current() -> None:
    result = generate(ROOT, "--check")
    assert result.returncode == 0, result.stderr


def test_the_manifest_holds_every_group_of_every_file(tree: Path) -> None:
    assert generate(tree).returncode == 0
    text = (tree / "deploy/kubernetes/prometheusrule.yaml").read_text()
    groups = yaml.safe_load(text)["spec"]["groups"]
    files = [yaml.safe_load((tree / f"rules/{name}.rules.yml").read_text())["groups"][0] for name in "ab"]
    assert groups == files
    assert "description: |\n" in text
    assert generate(tree, "--check").returncode == 0


def test_a_change_of_the_rules_is_noticed(tree: Path) -> None:
    assert generate(tree, "--check").returncode == 1
    generate(tree)
    (tree / "rules/a.rules.yml").unlink()
    result = generate(tree, "--check")
    assert result.returncode == 1
    assert "prometheusrule.yaml is not current" in result.stderr


def test_two_groups_of_one_name_are_refused(tree: Path) -> None:
    (tree / "rules/c.rules.yml").write_text((tree / "rules/a.rules.yml").read_text())
    result = generate(tree)
    assert result.returncode == 1
    assert "more than one group is named a" in result.stderr
