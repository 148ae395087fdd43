"""Ids of nodes: what one leads to, and what another type's is answered."""

import pytest
from strawberry import relay

from graphql_schema.finding import node_key
from hub.errors import Malformed


@pytest.mark.parametrize(("wanted", "called"), [("Entry", "an Entry"), ("Member", "a Member")])
def test_an_id_of_another_type_is_told_what_was_expected(wanted: str, called: str) -> None:
    assert node_key(relay.GlobalID(wanted, "7"), wanted, parts=1, field="id") == (7,)
    with pytest.raises(Malformed) as refused:
        node_key(relay.GlobalID("Lot", "7"), wanted, parts=1, field="id")
    assert refused.value.message == f"this is not the id of {called}"
