"""What installs and deploys the hub names things that exist, and pins what it installs."""

import re
from typing import Any

import pytest
import yaml

from hub.entrypoints.cli import COMMANDS
from tests.support.tidy import ROOT

HUB_SERVICES = {"migrate", "api", "worker", "scheduler"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


def test_every_service_runs_a_command_that_exists(compose: dict[str, Any]) -> None:
    run = {name: compose["services"][name]["command"][0] for name in HUB_SERVICES}
    assert set(run.values()) <= set(COMMANDS)
    assert run["api"] == "serve"


def test_nothing_starts_before_what_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services["migrate"]["depends_on"]) == {"postgres"}
    for name in HUB_SERVICES - {"migrate"}:
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert {needs[server]["condition"] for server in ("postgres", "valkey")} == {
            "service_healthy"
        }
    assert all("healthcheck" in services[name] for name in ("postgres", "valkey", "api"))


def test_state_is_kept_in_named_volumes(compose: dict[str, Any]) -> None:
    mounted = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    }
    assert mounted == set(compose["volumes"]) == {"pgdata", "valkey", "keyring"}


def test_the_broker_never_evicts(compose: dict[str, Any]) -> None:
    command = compose["services"]["valkey"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_no_password_is_committed() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"PASSWORD: (.*)|hub:(.*?)@", text)) == {
        ("${POSTGRES_PASSWORD:?choose one}", ""),
        ("", "${POSTGRES_PASSWORD:?choose one}"),
    }


def test_the_image_runs_as_nobody_in_particular_and_serves() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER hub" in lines
    assert 'CMD ["serve"]' in lines
    assert any("--require-hashes" in line for line in lines)


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_every_dependency_is_pinned_with_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    pins = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > 50
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []
    assert "://" not in text


def test_the_tools_for_development_change_no_version_of_what_runs() -> None:
    pinned = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.M))
        for name in ("run.txt", "dev.txt")
    ]
    run, dev = pinned
    assert {name: dev.get(name) for name in run} == run
