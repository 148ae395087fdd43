"""XML as plain mappings, and nothing of it that could reach out, multiply or be a payment card.

A document type is refused, and with it every entity but XML's own five: nothing is fetched and
nothing expands (OWASP, "XML External Entity Prevention"). Namespaces are dropped: senders disagree
on them. Payment cards are left out while the document is read.
"""

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from hub.errors import Malformed

Node = Mapping[str, Any]
"""An element: `@Name` its attributes, `#` its text, `Name` the list of its children so called."""

DEEPEST = 64
# What a card is written into, and free text, where people write one.
_LEFT_OUT = frozenset(
    {"PaymentCard", "CardNumber", "MagneticStripe", "Comments", "SpecialRequests", "Security"}
)


def parse_xml(body: bytes) -> tuple[str, Node]:
    """Return the root's name and the root; raises Malformed, naming `body`."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as bad:
        raise Malformed(f"not XML: {bad}", field="body") from bad
    return reader.root()


def _refuse_doctype(*_: object) -> None:
    raise Malformed("a document type is not taken", field="body")


class _Reader:
    """Builds the mappings while expat reads."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {}
        self._open: list[dict[str, Any]] = [self._document]
        self._skipped = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        local = _local(name)
        if self._skipped or local in _LEFT_OUT:
            self._skipped += 1
            return
        if len(self._open) > DEEPEST:
            raise Malformed("elements are nested too deep", field="body")
        node: dict[str, Any] = {f"@{_local(key)}": value for key, value in attributes.items()}
        self._open[-1].setdefault(local, []).append(node)
        self._open.append(node)

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        else:
            self._open.pop()

    def text(self, data: str) -> None:
        if not self._skipped and data.strip():
            node = self._open[-1]
            node["#"] = node.get("#", "") + data

    def root(self) -> tuple[str, Node]:
        ((name, (root,)),) = self._document.items()
        return name, root


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def every(node: Node, *path: str) -> list[Node]:
    """Return all elements that `path` leads to."""
    found = [node]
    for name in path:
        found = [child for one in found for child in one.get(name, ())]
    return found


def first(node: Node, *path: str) -> Node:
    """Return the first element that `path` leads to, or an empty one."""
    return next(iter(every(node, *path)), {})


def attribute(node: Node, name: str) -> str | None:
    """Return an attribute without the space around it, None when nothing is left."""
    return (node.get(f"@{name}") or "").strip() or None


def text_of(node: Node) -> str | None:
    """Return an element's text, None when there is none."""
    return (node.get("#") or "").strip() or None
