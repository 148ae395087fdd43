"""Connectors are found by entry point, so that the hub names none of them."""

from functools import cache
from importlib.metadata import entry_points

from hub.connector.plug import Connector
from hub.errors import NotFound

GROUP = "hub.connectors"


@cache
def connector(name: str) -> Connector:
    """Load the connector called `name`; raises NotFound listing those that are installed."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise NotFound(f"no connector {name!r}; installed: {', '.join(sorted(found.names))}")
    loaded: Connector = found[name].load()
    return loaded
