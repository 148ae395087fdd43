"""XML as plain mappings, and nothing of it that could reach out, multiply or be a payment card.

A document type is refused, and with it every entity but XML's own five: nothing is fetched and
nothing expands (OWASP, "XML External Entity Prevention"). Namespaces are dropped: senders disagree
on them. Payment cards are left out.
"""

from collections.abc import Mapping
from typing import Any

from lxml import etree

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
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as bad:
        raise Malformed(f"not XML: {bad}", field="body") from bad
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a document type is not taken", field="body")
    return _local(root.tag), _node(root, 1)


def _node(element: Any, depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise Malformed("elements are nested too deep", field="body")
    node: dict[str, Any] = {f"@{_local(key)}": value for key, value in element.attrib.items()}
    if element.text and element.text.strip():
        node["#"] = element.text
    for child in element:
        name = _local(child.tag)
        if name not in _LEFT_OUT:
            node.setdefault(name, []).append(_node(child, depth + 1))
    return node


def _local(name: str) -> str:
    return name.rpartition("}")[2]


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
