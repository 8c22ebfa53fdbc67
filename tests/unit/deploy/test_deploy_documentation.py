"""docs/deployment.md names files that exist and says of the stack what is so."""

import re

import pytest
from deploy_stack import IMAGES, ROOT, compose, load

PAGE = (ROOT / "docs/deployment.md").read_text()
ALERTMANAGER = load("deploy/alertmanager.yml")
# Made by deploy/make-secrets.
NOT_COMMITTED = {"deploy/secrets/", "deploy/secrets/grafana_admin_password"}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\bdeploy/[\w./-]+\b/?", PAGE)) - NOT_COMMITTED))
def test_a_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE))))
def test_a_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / "docs" / link).is_file()


def test_every_receiver_and_published_port_is_described() -> None:
    for receiver in ALERTMANAGER["receivers"]:
        assert f"`{receiver['name']}`" in PAGE
    for service in compose()["services"].values():
        for port in service.get("ports", []):
            assert port == f"127.0.0.1:{IMAGES[service['image']].port}:{IMAGES[service['image']].port}"
            assert f"http://{port.rpartition(':')[0]} |" in PAGE
