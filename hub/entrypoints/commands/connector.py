"""`hub connector new` and `hub connector list`: connectors of one's own, and those installed."""

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import hub
from hub.connector import Checking, Dropping, Hydrating, Pulling, connector
from hub.connector.registry import GROUP
from hub.errors import HubError, Malformed

_EXAMPLE = "kiosk"
_PACKAGE = Path(hub.__file__).parent
_PLACES = (
    _PACKAGE / "entrypoints" / "templates" / f"hub-connector-{_EXAMPLE}",
    _PACKAGE.parent / "docs" / "examples" / f"hub-connector-{_EXAMPLE}",
)
_MADE_BY_TOOLS = ("__pycache__", ".pytest_cache", ".hypothesis")


def new(
    name: Annotated[str, typer.Argument(help="what a group's file will call it, like `kiosk`")],
    out: Annotated[Path, typer.Option(help="where the package's folder is made")] = Path(),
) -> None:
    """Make a package for a connector of one's own. It works, and passes the conformance kit."""
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", name):
        raise Malformed("small letters and digits were expected, a letter first", field="name")
    target = out / f"hub-connector-{name}"
    if target.exists():
        raise Malformed(f"{target} is there already", field="out")
    template = next(place for place in _PLACES if place.is_dir())
    for source in sorted(template.rglob("*")):
        if source.is_file() and not set(_MADE_BY_TOOLS) & set(source.parts):
            made = target / _named(str(source.relative_to(template)), name)
            made.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(_named(source.read_text(), name))
    typer.echo(f"{target}: read its README.md")


def _named(text: str, name: str) -> str:
    return text.replace(_EXAMPLE, name).replace(_EXAMPLE.capitalize(), name.capitalize())


def list_() -> None:
    """List the connectors that are installed, and what each can do beside receiving."""
    table = Table("connector", "system", "answers within", "can")
    abilities = {
        "complete thin events": Hydrating,
        "be asked": Pulling,
        "read files": Dropping,
        "be checked": Checking,
    }
    for name in sorted(entry_points(group=GROUP).names):
        try:
            found = connector(name)
        except (HubError, ImportError) as failure:
            table.add_row(name, f"cannot be loaded: {failure}")
            continue
        can = ", ".join(what for what, plug in abilities.items() if isinstance(found, plug))
        within = f"{found.spec.acknowledge_within_seconds:g} s"
        table.add_row(name, found.spec.title, within, can)
    Console().print(table)
