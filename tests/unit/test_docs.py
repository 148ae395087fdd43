"""The documents say what is so, and each check would notice if they did not."""

from pathlib import Path

import pytest

from tests.support import docs
from tests.support.docs import ROOT, Check, documents

CHECKS = [docs.commands, docs.links, docs.places, docs.settings, docs.graphql]
HERE = ROOT / "README.md"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_are_true(path: Path, check: Check) -> None:
    assert list(check(path, path.read_text())) == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "docs/glossary.md"])
def test_what_is_checked_is_there(name: str) -> None:
    assert docs.spans((ROOT / name).read_text())


def test_the_tour_asks_the_api() -> None:
    assert len(docs.operations(HERE.read_text())) >= 3


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text()
    decisions = {path.name for path in folder.glob("[0-9]*.md")}
    assert {name for name in decisions if f"({name})" not in index} == set()


@pytest.mark.parametrize(
    ("check", "untrue", "true"),
    [
        (docs.commands, "`hub dance`", "`hub doctor`"),
        (docs.commands, "`hub intake burn`", "`hub intake list --state dead`"),
        (docs.commands, "`hub settle 2026-11 --late`", "`hub settle 2026-11 --early`"),
        (docs.commands, "```sh\nx=$(.venv/bin/hub tokens)\n```", "```sh\n.venv/bin/hub up\n```"),
        (docs.commands, "`make money`", "`make run`"),
        (docs.commands, "`python -m bench.magic`", "`python -m bench.earn`"),
        (docs.links, "[x](docs/none.md)", "[x](docs/glossary.md)"),
        (docs.links, "[x](ARCHITECTURE.md#cellars)", "[x](ARCHITECTURE.md#floors)"),
        (docs.places, "`hub/points/burn.py`", "`hub/points/redeem.py`"),
        (docs.places, "`hub.points.burn`", "`hub.points.redeem`"),
        (docs.places, "`hub.ledger.codes.Colour`", "`hub.ledger.codes.Unit`"),
        (docs.settings, "set HUB_COLOUR", "set HUB_PORT"),
        (docs.graphql, "```sh\nask '{ weather }'\n```", "```sh\nask '{ me { number } }'\n```"),
        (docs.graphql, "```graphql\n{ me {\n```", "```graphql\n{ me { number } }\n```"),
    ],
)
def test_each_check_notices(check: Check, untrue: str, true: str) -> None:
    assert list(check(HERE, untrue)) != []
    assert list(check(HERE, true)) == []
