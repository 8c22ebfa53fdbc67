"""docker-compose.yml: what it names exists, and no container may do more than it has to.

Only keys of the compose specification that are listed here may be used: a misspelt one is none of them.
"""

import re
from typing import Any

import pytest
from deploy_stack import IMAGES, ROOT, compose, interpolated, load

from exporter import __version__
from exporter.cli import _parser

KEYS = {"name", "services", "volumes", "secrets", "x-hardened"}
SERVICE_KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "extra_hosts",
    "healthcheck",
    "image",
    "pid",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "secrets",
    "security_opt",
    "tmpfs",
    "user",
    "volumes",
}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
DURATION = re.compile(r"[1-9][0-9]*s")
DOCUMENT = compose()
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


def mounts(name: str) -> list[list[str]]:
    return [volume.split(":") for volume in SERVICES[name].get("volumes", [])]


def test_the_file_has_no_unknown_part() -> None:
    assert set(DOCUMENT) == KEYS


@each_service
def test_a_service_has_no_unknown_key(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= SERVICE_KEYS
    assert set(service["healthcheck"]) == HEALTHCHECK_KEYS
    assert set(service.get("build", {})) <= {"context", "args"}


@each_service
def test_an_image_is_pinned_and_described(name: str) -> None:
    assert re.fullmatch(r"[a-z-]+(/[a-z-]+)?:v?\d+\.\d+\.\d+(-[a-z]+)?", SERVICES[name]["image"])
    assert SERVICES[name]["image"] in IMAGES


@each_service
def test_a_service_runs_without_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == IMAGES[service["image"]].user
    assert not service["user"].startswith("0:")


@each_service
def test_only_loopback_reaches_a_port(name: str) -> None:
    port = IMAGES[SERVICES[name]["image"]].port
    assert SERVICES[name].get("ports", []) in ([], [f"127.0.0.1:{port}:{port}"])


@each_service
def test_a_health_check_starts_what_the_image_has_and_asks_the_right_port(name: str) -> None:
    image, check = IMAGES[SERVICES[name]["image"]], SERVICES[name]["healthcheck"]
    kind, program, *arguments = check["test"]
    assert kind == "CMD"
    assert program in image.programs
    assert f":{image.port}" in " ".join(arguments)
    times = [check[key] for key in ("interval", "timeout", "start_period")]
    assert all(DURATION.fullmatch(time) for time in times), times


@each_service
def test_what_is_mounted_exists_and_is_read_only(name: str) -> None:
    for source, target, *mode in mounts(name):
        if source in DOCUMENT["volumes"]:
            assert target == IMAGES[SERVICES[name]["image"]].state
            assert not mode
        elif source != "/":
            assert (ROOT / source).exists(), source
            assert target.startswith(IMAGES[SERVICES[name]["image"]].config + "/")
            assert mode == ["ro"]


def test_the_host_is_mounted_read_only_and_only_for_node_exporter() -> None:
    assert [name for name in SERVICES if any(source == "/" for source, *_ in mounts(name))] == ["node-exporter"]
    assert mounts("node-exporter") == [["/", "/host", "ro,rslave"]]
    assert SERVICES["node-exporter"]["command"] == ["--path.rootfs=/host"]


def test_volumes_and_secrets_are_declared_and_used() -> None:
    used = {source for name in SERVICES for source, *_ in mounts(name) if source[0] not in "./"}
    assert used == set(DOCUMENT["volumes"])
    given = {
        secret if isinstance(secret, str) else secret["source"]
        for service in SERVICES.values()
        for secret in service.get("secrets", [])
    }
    assert given == set(DOCUMENT["secrets"])


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key or "TOKEN" in key:
                assert key.endswith("__FILE")
                assert value.startswith("/run/secrets/")
    assert all(set(secret) == {"file"} for secret in DOCUMENT["secrets"].values())


def test_who_depends_on_a_service_waits_until_it_is_healthy() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "profiles" not in SERVICES[other]


@pytest.mark.parametrize("name", ["lmwatch", "lmstudio"])
def test_the_command_line_is_one_that_lmwatch_takes(name: str) -> None:
    _parser().parse_args(SERVICES[name]["command"])
    assert SERVICES[name]["image"].startswith(f"lmwatch:{__version__}")


def test_the_embedded_profile_only_changes_the_server() -> None:
    lines = (ROOT / "deploy/embedded.env").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert environ["COMPOSE_PROFILES"] == SERVICES["lmstudio"]["profiles"][0]
    [config] = [
        source
        for source, *_ in (mount.split(":") for mount in compose(environ)["services"]["lmwatch"]["volumes"])
        if "yml" in source
    ]
    assert config == "./deploy/lmwatch.embedded.yml"
    usual, embedded = load("deploy/lmwatch.yml"), load(config)
    assert usual.pop("servers") != embedded.pop("servers")
    assert usual == embedded


def addresses() -> list[tuple[str, str, str]]:
    """File, host and port of every address by which one part of the stack reaches another."""
    files = [
        "deploy/prometheus.yml",
        "deploy/alertmanager.yml",
        "deploy/lmwatch.yml",
        "deploy/lmwatch.embedded.yml",
        "grafana/provisioning/datasources/prometheus.yml",
    ]
    found = []
    for file in files:
        text = re.sub(r"(^|\s)#.*", "", (ROOT / file).read_text())
        found += [(file, *match) for match in re.findall(r"\b([a-z][a-z.-]+):(\d{4,5})\b", text)]
    return found


@pytest.mark.parametrize(("file", "host", "port"), addresses())
def test_an_address_is_that_of_a_service(file: str, host: str, port: str) -> None:
    if host == "host.docker.internal":
        assert SERVICES["lmwatch"]["extra_hosts"] == [f"{host}:host-gateway"]
        return
    service = SERVICES["prometheus" if host == "localhost" else host]
    assert IMAGES[service["image"]].port == int(port)


def test_every_part_has_an_address_that_is_checked() -> None:
    assert {host for _, host, _ in addresses()} >= set(SERVICES) - {"grafana"}


def test_a_variable_without_default_is_noticed() -> None:
    assert interpolated("a ${B:-c} ${D:-e}", {"D": "f"}) == "a c f"
    with pytest.raises(AssertionError, match="no default"):
        interpolated("${B}", {})
