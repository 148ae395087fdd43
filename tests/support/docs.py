"""What documents say that can be checked: commands, links, paths, modules, settings, GraphQL.

Each check takes the text of a document and yields what is wrong with it.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphql import GraphQLError, build_schema, parse, validate
from typer.main import get_command

from hub.config import Settings
from hub.entrypoints.cli import app

ROOT = Path(__file__).parents[2]
Check = Callable[[Path, str], Iterator[str]]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PLACES = ("hub", "graphql_schema", "connectors", "migrations", "tests", "bench", "docs", ".ci")
_PLACEHOLDER = re.compile(r"[<>{}*…]|NNNN")


def documents() -> list[Path]:
    """Return every document of the project."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [body for name, body in _BLOCK.findall(text) if name == language]


def spans(text: str) -> list[str]:
    """Return what is written as code within sentences."""
    return _SPAN.findall(_BLOCK.sub("", text))


def _command_lines(text: str) -> Iterator[str]:
    yield from spans(text)
    for block in blocks(text, "sh"):
        yield from re.split(r"\n|\||\$\(|;|&&", block)


def commands(path: Path, text: str) -> Iterator[str]:
    """Yield `hub` commands and options, make targets and modules to run that do not exist."""
    makefile = (ROOT / "Makefile").read_text()
    for line in _command_lines(text):
        said = line.strip().removeprefix(".venv/bin/")
        if target := re.match(r"make ([a-z-]+)$", said):
            if not re.search(rf"^{target[1]}:", makefile, re.MULTILINE):
                yield f"no such target: {said}"
        elif module := re.match(r"python -m ([\w.]+)", said):
            if find_spec(module[1]) is None:
                yield f"no such module: {said}"
        elif re.match(r"hub [a-z]", said):
            yield from _hub_command(said)


def _hub_command(said: str) -> Iterator[str]:
    words = shlex.split(said.split(" #", maxsplit=1)[0].rstrip(")"))[1:]
    command: Any = get_command(app)
    while hasattr(command, "list_commands"):
        if not words or words[0].startswith("-"):
            return
        command = command.get_command(None, words.pop(0))
        if command is None:
            yield f"no such command: {said}"
            return
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    for word in words:
        if word.startswith("--") and word not in known | {"--help"}:
            yield f"no such option: {said}"


def links(path: Path, text: str) -> Iterator[str]:
    """Yield relative links that lead nowhere, anchors included."""
    for target in _LINK.findall(_BLOCK.sub("", text)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        if not there.exists():
            yield f"no such file: {target}"
        elif anchor and anchor not in _anchors(there.read_text()):
            yield f"no such heading: {target}"


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def places(path: Path, text: str) -> Iterator[str]:
    """Yield files, folders and modules that are named and do not exist."""
    for said in spans(text):
        if _PLACEHOLDER.search(said) or " " in said:
            continue
        if "/" in said and said.split("/")[0] in _PLACES and not (ROOT / said).exists():
            yield f"no such file: {said}"
        if re.fullmatch(r"(hub|graphql_schema|connectors|tests)(\.\w+)+", said) and not _found(
            said
        ):
            yield f"no such module or name in one: {said}"


def _found(dotted: str) -> bool:
    if dotted in entry_points().groups:
        return True
    module, names = dotted, list[str]()
    while _spec(module) is None:
        module, _, name = module.rpartition(".")
        names.insert(0, name)
    found: Any = import_module(module)
    for name in names:
        found = getattr(found, name, None)
    return found is not None


def _spec(module: str) -> Any:
    """Find a module without failing where its parent is none."""
    try:
        return find_spec(module)
    except ModuleNotFoundError:
        return None


def settings(path: Path, text: str) -> Iterator[str]:
    """Yield variables that no setting, no command and no test reads."""
    known = {f"HUB_{name.upper()}" for name in Settings.model_fields}
    for command in (ROOT / "hub" / "entrypoints" / "commands").glob("*.py"):
        known |= set(re.findall(r"envvar=\"(HUB_[A-Z_]+)\"", command.read_text()))
    for test in (ROOT / "tests").rglob("*.py"):
        known |= set(re.findall(r"environ\b.*\"(HUB_[A-Z_]+)\"", test.read_text()))
    for said in sorted(set(re.findall(r"\bHUB_[A-Z_]+\b", text)) - known):
        yield f"no such setting: {said}"


def operations(text: str) -> list[str]:
    """Return the GraphQL of a document: its graphql blocks, and what its commands send."""
    sent = [
        quoted
        for block in blocks(text, "sh")
        for quoted in re.findall(r"'([^']*)'", block)
        if re.match(r"\s*(query|mutation|\{)", quoted) and not _is_json(quoted)
    ]
    return blocks(text, "graphql") + sent


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def graphql(path: Path, text: str) -> Iterator[str]:
    """Yield GraphQL that the committed schema does not allow."""
    schema = build_schema((ROOT / "graphql_schema" / "schema.graphql").read_text())
    for operation in operations(text):
        try:
            wrong = validate(schema, parse(operation))
        except GraphQLError as unreadable:
            wrong = [unreadable]
        yield from (f"{error.message} in {operation[:60]!r}" for error in wrong)
