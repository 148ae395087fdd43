"""The OpenAPI document of the tills' API, made of the models that it validates by.

`python -m hub.entrypoints.till_openapi` writes docs/tills.openapi.json; `--check` only compares.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from hub.benefits.carts.views import CartAnswer, CartQuote, CartRefund, CartRefusal
from hub.entrypoints.till_models import SAID, Problem

PLACE = Path(__file__).parents[2] / "docs" / "tills.openapi.json"
_REF = "#/components/schemas/{model}"
_PROBLEMS = {
    400: "The request is not as it must be; `field` names the place.",
    401: "It is not signed by a secret of the connection, or too long ago.",
    404: "There is no such connection or member.",
    409: "The key was used for another request; `field` names what differs.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "Nothing is known under the key.",
    500: "Something went wrong in the hub; `reference` names it in its log.",
    503: "There was no answer in time: ask again with the same key.",
}
_DONE = {
    "quote": "What the cart costs, or why all that was named cannot be used.",
    "reserve": "The basket: reserved, or declined with the reason.",
    "redeem": "The basket: redeemed, or how it stands and why it is not.",
    "release": "The basket: released, or how it stands and why it is not.",
    "refund": "What came back, or why nothing does.",
}
_HEADERS: dict[str, dict[str, Any]] = {
    "webhook-id": {"minLength": 1},
    "webhook-timestamp": {"pattern": "^[0-9]{1,11}$", "description": "Seconds since 1970, UTC."},
    "webhook-signature": {
        "description": "As Standard Webhooks 1.0.0 says: `v1,` and the HMAC-SHA256 in base64."
    },
}


def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    models: list[type[BaseModel]] = [*SAID.values(), Problem]
    _, said = models_json_schema([(one, "validation") for one in models], ref_template=_REF)
    schemas: dict[str, Any] = dict(said["$defs"])
    for told in (CartQuote, CartRefusal, CartAnswer, CartRefund):
        schema = TypeAdapter(told).json_schema(ref_template=_REF, mode="serialization")
        schemas |= schema.pop("$defs", {})
        schemas[told.__name__] = schema
    schemas["CartAnswer"]["properties"].pop("member_id")
    schemas["CartAnswer"]["properties"]["transaction"] = {"type": ["string", "null"]}
    nullable = [{"$ref": _REF.format(model=name)} for name in ("CartQuote", "CartRefusal")]
    schemas["Quoted"] = {
        "type": "object",
        "required": ["quote", "refusal"],
        "properties": {
            name: {"anyOf": [one, {"type": "null"}]}
            for name, one in zip(("quote", "refusal"), nullable, strict=True)
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tills", "version": "1", "description": (__doc__ or "").split("\n")[0]},
        "paths": {f"/tills/{{connection}}/{name}": {"post": _post(name)} for name in SAID},
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _post(name: str) -> dict[str, Any]:
    told = {"quote": "Quoted", "refund": "CartRefund"}.get(name, "CartAnswer")
    headers = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string", **facts}}
        for name, facts in _HEADERS.items()
    ]
    connection = {
        "name": "connection",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }
    return {
        "operationId": name,
        "summary": (SAID[name].__doc__ or "").strip(),
        "parameters": [connection, *headers],
        "requestBody": {"required": True, "content": _content(SAID[name].__name__)},
        "responses": {
            "200": {"description": _DONE[name], "content": _content(told)},
            **{
                str(status): {
                    "description": words,
                    "content": _content("Problem", kind="application/problem+json"),
                }
                for status, words in _PROBLEMS.items()
            },
        },
    }


def _content(model: str, *, kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": {"$ref": _REF.format(model=model)}}}


def text() -> str:
    """Return the document as it is kept."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PLACE.exists() or PLACE.read_text() != text():
            sys.exit("docs/tills.openapi.json is not current: run this without --check")
    else:
        PLACE.write_text(text())
