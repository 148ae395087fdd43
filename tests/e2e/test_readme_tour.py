"""The README's tour, walked: every command is run against a hub of its own, as a newcomer would.

What comes out must be what the README shows, but for numbers and dates (the sample's story ends
yesterday) and what it leaves out with an ellipsis.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import now
from tests.support.docs import ROOT
from tests.support.processes import eventually
from tests.support.stack import scratch_directory

README = (ROOT / "README.md").read_text()
STEP = re.compile(r"^```sh\n(?!make)(.*?)^```$(?:\n\n```(?:json|text)\n(.*?)^```$)?", re.M | re.S)
STEPS = STEP.findall(README)
END = "@@ end of step @@"


@pytest.fixture(scope="module")
def hub() -> Iterator[dict[str, str]]:
    """A running `hub up` with its sample loaded; yields the environment to find it by."""
    with scratch_directory() as path, socket.socket() as api, socket.socket() as sandbox:
        ports = {}
        for name, probe in {"HUB_PORT": api, "HUB_SANDBOX_PORT": sandbox}.items():
            probe.bind(("127.0.0.1", 0))
            ports[name] = str(probe.getsockname()[1])
            probe.close()
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        environment = {**kept, **ports, "HUB_STATE_DIR": str(path / "state"), "COLUMNS": "80"}
        said = path / "said"
        with said.open("wb") as output:
            running = subprocess.Popen(
                [sys.executable, "-m", "hub.entrypoints.cli", "up"],
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            loaded = eventually(lambda: "what is wrong" in said.read_text(), seconds=180)
            assert loaded, said.read_text()
            assert "not loaded completely" not in said.read_text()
            yield environment
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)


def pattern(shown: str) -> str:
    """Return what `shown` stands for: any numbers for its numbers, anything for its ellipses.

    What rounding leaves is as often below zero as above it.
    """
    shown = re.sub(r"(rounding,\S*,)\d+\.\d+", r"\1…", shown)
    parts = [re.escape(part) for part in re.split(r"(\d+|…|\s+)", " ".join(shown.split()))]
    return "".join(r"\d+" if part.isdigit() else ".*" if part == "…" else part for part in parts)


@pytest.mark.skipif(now().month == 1, reason="in January the year's points have begun anew")
def test_the_tour_is_as_the_readme_says(hub: dict[str, str], tmp_path: Path) -> None:
    assert len(STEPS) >= 10
    script = "".join(f"{commands}\necho '{END}'\n" for commands, _ in STEPS)
    script = script.replace(":8000", f":{hub['HUB_PORT']}").replace(
        "/tmp/statements", str(tmp_path)
    )
    script = script.replace(".venv/bin/python", sys.executable)
    script = script.replace(".venv/bin/hub", f"{sys.executable} -m hub.entrypoints.cli")
    walked = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, env=hub, capture_output=True, text=True, check=False
    )
    assert walked.stderr == ""
    outputs = walked.stdout.replace(str(tmp_path), "/tmp/statements").split(END)
    assert len(outputs) == len(STEPS) + 1
    for (commands, shown), came in zip(STEPS, outputs, strict=False):
        plain = " ".join(came.split())
        assert re.fullmatch(pattern(shown), plain), f"{commands}\n--- came:\n{came}"


def test_the_sample_group_has_books(hub: dict[str, str], tmp_path: Path) -> None:
    """Whether or not the tour was walked before: what it did is done once."""
    month = f"{now():%Y-%m}"

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "hub.entrypoints.cli", *words]
        done = subprocess.run(
            command, cwd=ROOT, env={**hub, "COLUMNS": "160"}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    run("settle", month, "--early", "--as", "zhao")
    run("period", "approve", month, "--as", "li")
    recognised = run("accounting", "recognise", month, "--as", "wei")
    for code in ("bund-outfitters", "lakeside-hotel", "jade-kitchen"):
        assert f"{code}, {month}: recognised" in recognised
    assert "2205.01" in run("journals", "post", month, "--as", "wei")
    assert "partner_revenue" in run("journals", "eliminate", month)
    files = run("journals", "export", month, str(tmp_path), "--format", "csv").split()
    assert all(Path(file).stat().st_size for file in files)


def test_the_comparison_notices() -> None:
    assert re.fullmatch(pattern("net,,,CNY,110.47,"), "net,,,CNY,7.00,")
    assert re.fullmatch(pattern("rounding,a,b,CNY,0.002,"), "rounding,a,b,CNY,-0.004,")
    assert re.fullmatch(pattern("{\n  …\n}"), '{ "data": 1 }')
    assert not re.fullmatch(pattern("net,,,CNY,110.47,"), "net,,,CNY,-7.00,")
    assert not re.fullmatch(pattern("ok  no dead letters"), "warning dead letters: 1")
