"""Persisted documents: operations known beforehand, called by the SHA-256 of their text.

The file that `HUB_DOCUMENTS` names is what client tools write: a JSON object of hash to document
(as Relay's compiler does), or a manifest with `operations` that have `id` and `body` (as Apollo's).
In requests a document is named as GraphQL over HTTP proposes it: `documentId: "sha256:<hex>"`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse, validate

from graphql_schema.executing import HubSchema
from hub.errors import Forbidden, Malformed, NotFound

PREFIX = "sha256:"


class Documents:
    """The operations that are known; with `only`, no others are answered."""

    def __init__(self, known: Mapping[str, str] | None = None, *, only: bool = False) -> None:
        self._known = dict(known or {})
        self.only = only
        self._names = {text: _name(text) for text in self._known.values()}
        self._reads = {text for text in self._known.values() if _changes_nothing(text)}

    def text(self, document_id: str) -> str:
        """Return a known document; raises Malformed for what is no id, NotFound."""
        digest = document_id.removeprefix(PREFIX)
        if digest == document_id:
            raise Malformed(f"`documentId` is {PREFIX} and a hash", field="documentId")
        try:
            return self._known[digest.lower()]
        except KeyError:
            raise NotFound("no such document is known here", field="documentId") from None

    def refuse_unknown(self, query: str) -> None:
        """Raise Forbidden for a document that is not known, where only those are answered."""
        if self.only and query not in self._names:
            raise Forbidden("only documents that are known here are answered", field="query")

    def name(self, query: str) -> str:
        """Return what a document is called in metrics: there are only as many as are known."""
        return self._names.get(query) or "other"

    def changes_nothing(self, query: str) -> bool:
        """Return whether a known document holds queries alone, so that a GET may ask for it."""
        return query in self._reads


def read_documents(path: Path | None, schema: HubSchema, *, only: bool) -> Documents:
    """Read the file of known documents. Raises Malformed naming what does not fit.

    Every hash is proven, and every document must be valid by the schema as it is.
    """
    if path is None:
        if only:
            raise Malformed("HUB_ONLY_DOCUMENTS needs a file of them", field="HUB_DOCUMENTS")
        return Documents()
    try:
        found = _pairs(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError) as bad:
        raise Malformed(f"HUB_DOCUMENTS: {bad}", field="HUB_DOCUMENTS") from bad
    for digest, text in found.items():
        if digest != _digest(text):
            raise _unfit(digest, "its text has another SHA-256")
        try:
            wrong = validate(schema._schema, parse(text))
        except GraphQLError as error:
            wrong = [error]
        if wrong:
            raise _unfit(digest, wrong[0].message)
    return Documents(found, only=only)


def _changes_nothing(query: str) -> bool:
    return all(
        one.operation is OperationType.QUERY
        for one in parse(query).definitions
        if isinstance(one, OperationDefinitionNode)
    )


def _pairs(content: Any) -> dict[str, str]:
    listed = content.get("operations") if isinstance(content, dict) else None
    pairs = (
        {one.get("id"): one.get("body") for one in listed if isinstance(one, dict)}
        if isinstance(listed, list)
        else content
    )
    if not isinstance(pairs, dict) or not all(
        isinstance(part, str) for pair in pairs.items() for part in pair
    ):
        raise Malformed(
            'HUB_DOCUMENTS: {"<sha-256>": "<document>"} was expected', field="HUB_DOCUMENTS"
        )
    return {digest.removeprefix(PREFIX).lower(): text for digest, text in pairs.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _name(text: str) -> str | None:
    names = [
        one.name.value
        for one in parse(text).definitions
        if isinstance(one, OperationDefinitionNode) and one.name
    ]
    return names[0] if names else None


def _unfit(digest: str, why: str) -> Malformed:
    return Malformed(f"HUB_DOCUMENTS: document {digest[:12]}…: {why}", field="HUB_DOCUMENTS")
