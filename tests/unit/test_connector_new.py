"""A connector of one's own: made from the example, found by its entry point, passing the kit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.entrypoints.cli import app
from tests.support.tidy import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "hub-connector-kiosk"


def run(*command: str, at: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *command],
        check=False,
        cwd=at,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def made(tmp_path: Path) -> Path:
    done = CliRunner().invoke(app, ["connector", "new", "stall", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    return tmp_path / "hub-connector-stall"


def test_what_is_made_passes_the_kit(made: Path) -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", at=made, path=str(made))
    assert done.returncode == 0, done.stdout
    assert "skipped" in done.stdout
    named = [path.read_text() for path in made.rglob("*") if path.suffix in (".py", ".toml", ".md")]
    assert not any("kiosk" in text.lower() for text in named)


def test_once_installed_it_is_found(made: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = run(*pip, "--target", str(site), ".", at=made)
    assert done.returncode == 0, done.stderr
    found = run(
        "-c",
        "from hub.connector import connector; print(connector('stall').spec.title)",
        at=tmp_path,
        path=str(site),
    )
    assert found.stdout.strip() == "Stall", found.stderr


def test_the_example_passes_its_own_tests() -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", at=EXAMPLE, path=str(EXAMPLE))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["Stall", "9stall", "my-stall", "s", "x" * 40])
def test_a_name_that_is_no_packages_is_refused(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["connector", "new", name, "--out", str(tmp_path)])
    assert done.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(made: Path) -> None:
    before = (made / "README.md").read_text()
    done = CliRunner().invoke(app, ["connector", "new", "stall", "--out", str(made.parent)])
    assert done.exit_code != 0
    assert (made / "README.md").read_text() == before
