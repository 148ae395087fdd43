"""Whatever moved and whatever is owed, journals balance and the group nets to zero."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hub.accounting.journals.build import build
from hub.accounting.journals.eliminate import eliminate
from hub.accounting.journals.lines import Moved
from hub.accounting.movements import MovementKind
from hub.programme.chart import Purpose
from hub.settlement.codes import LineKind
from hub.settlement.queries import Total
from tests.unit.test_journals import posted

BUSINESSES = st.integers(1, 5)
# Two of the five are in one legal entity.
ENTITIES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 4}
CURRENCIES = st.sampled_from(["CNY", "JPY"])
MINOR = st.integers(-(10**12), 10**12)
ENDS = {MovementKind.OPENING, MovementKind.CLOSING}
MOVED = st.builds(
    Moved,
    issuer_id=BUSINESSES,
    owner_id=BUSINESSES,
    currency=CURRENCIES,
    kind=st.sampled_from(sorted(set(MovementKind) - ENDS)),
    points=MINOR,
    minor=MINOR,
    elsewhere_points=MINOR,
    elsewhere_minor=MINOR,
)


@st.composite
def totals(draw: st.DrawFn) -> Total:
    debtor = draw(BUSINESSES)
    net, tax = draw(MINOR), draw(MINOR)
    return Total(
        debtor_id=debtor,
        creditor_id=draw(BUSINESSES.filter(lambda one: one != debtor)),
        currency=draw(CURRENCIES),
        kind=draw(st.sampled_from(LineKind)),
        tax_code=draw(st.sampled_from([None, "VAT6", "VAT13"])),
        tax_rate=None,
        tax_included=None,
        lines=1,
        points=draw(MINOR),
        exact=Decimal(net),
        rounding=Decimal(0),
        net_minor=net,
        tax_minor=tax,
        gross_minor=net + tax,
    )


@given(
    moved=st.lists(MOVED, max_size=12),
    owed=st.lists(totals(), max_size=12),
    agents=st.sets(BUSINESSES),
)
def test_every_journal_balances_and_the_group_nets_to_zero(
    moved: list[Moved], owed: list[Total], agents: set[int]
) -> None:
    drafts = build(moved=moved, totals=owed, entities=ENTITIES, agents=agents)
    liability: dict[tuple[int, str], int] = defaultdict(int)
    for draft in drafts:
        by_event: dict[str, int] = defaultdict(int)
        for line in draft.lines:
            assert min(line.debit_minor, line.credit_minor) == 0
            assert max(line.debit_minor, line.credit_minor) > 0
            by_event[line.event] += line.signed_minor
            if line.purpose is Purpose.CONTRACT_LIABILITY:
                liability[draft.legal_entity_id, draft.currency] -= line.signed_minor
        assert set(by_event.values()) == {0}
        assert draft.total_minor == sum(line.credit_minor for line in draft.lines)
    expected: dict[tuple[int, str], int] = defaultdict(int)
    for one in moved:
        expected[ENTITIES[one.owner_id], one.currency] += one.minor
    assert {k: v for k, v in liability.items() if v} == {k: v for k, v in expected.items() if v}
    for sheet in eliminate([posted(draft) for draft in drafts]):
        assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
        assert sheet.total_minor == sum(row.credit_minor for row in sheet.rows)
