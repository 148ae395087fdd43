"""Journals from literal movements and totals: who debits what, and that it balances."""

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from hub.accounting.journals.build import build
from hub.accounting.journals.eliminate import eliminate
from hub.accounting.journals.lines import Draft, Journal, Moved, PostedLine
from hub.accounting.movements import MovementKind
from hub.entrypoints.commands.programme import read_group
from hub.entrypoints.sample import GROUP_FILE
from hub.programme.chart import Purpose
from hub.settlement.codes import LineKind
from hub.settlement.queries import Total

R, H, P = 1, 2, 9
ENTITIES = {R: 10, H: 20, P: 90}


def moved(kind: str, minor: int, *, elsewhere: int = 0, owner: int = R, issuer: int = R) -> Moved:
    return Moved(
        issuer_id=issuer,
        owner_id=owner,
        currency="CNY",
        kind=MovementKind(kind),
        points=minor,
        minor=minor,
        elsewhere_points=elsewhere,
        elsewhere_minor=elsewhere,
    )


def total(
    net: int,
    *,
    tax: int = 0,
    debtor: int = R,
    creditor: int = H,
    kind: LineKind = LineKind.REDEMPTION,
) -> Total:
    return Total(
        debtor_id=debtor,
        creditor_id=creditor,
        currency="CNY",
        kind=kind,
        tax_code="VAT6" if tax else None,
        tax_rate=Decimal("0.06") if tax else None,
        tax_included=False if tax else None,
        lines=1,
        points=net,
        exact=Decimal(net) / 100,
        rounding=Decimal(0),
        net_minor=net,
        tax_minor=tax,
        gross_minor=net + tax,
    )


def built(*, agents: tuple[int, ...] = (), entities: dict[int, int] | None = None, of: list):
    drafts = build(
        moved=[one for one in of if isinstance(one, Moved)],
        totals=[one for one in of if isinstance(one, Total)],
        entities=entities or ENTITIES,
        agents=agents,
    )
    for draft in drafts:
        by_event: dict[str, int] = defaultdict(int)
        for line in draft.lines:
            assert (line.debit_minor > 0) != (line.credit_minor > 0)
            assert min(line.debit_minor, line.credit_minor) == 0
            by_event[line.event] += line.signed_minor
        assert set(by_event.values()) == {0}
    return {draft.legal_entity_id: draft for draft in drafts}


def shown(draft: Draft) -> dict[tuple[str, str], int]:
    """Debits by event and purpose; credits negative."""
    return {(line.event, line.purpose.value): line.signed_minor for line in draft.lines}


@pytest.mark.parametrize(
    ("kind", "minor", "against"),
    [
        ("deferred", 99000, "goods_revenue"),
        ("clawback", -990, "goods_revenue"),
        ("redeemed", -59400, "points_revenue"),
        ("reinstated", 990, "points_revenue"),
        ("expired", -5, "breakage_revenue"),
        ("breakage", -700, "breakage_revenue"),
        ("catch_up", 310, "catch_up_revenue"),
        ("adjusted", 40, "points_granted"),
        ("brought_in", 80, "opening_balance"),
    ],
)
def test_what_moves_the_liability_is_booked_against_its_reason(
    kind: str, minor: int, against: str
) -> None:
    journals = built(of=[moved(kind, minor)])
    assert shown(journals[ENTITIES[R]]) == {
        (kind, against): minor,
        (kind, "contract_liability"): -minor,
    }


def test_a_principal_shows_revenue_and_cost_of_what_a_partner_served() -> None:
    journals = built(of=[moved("redeemed", -59400, elsewhere=-39600), total(23200)])
    assert shown(journals[ENTITIES[R]]) == {
        ("redeemed", "points_revenue"): -19800,
        ("redeemed", "contract_liability"): 19800,
        ("redeemed_elsewhere", "points_revenue"): -39600,
        ("redeemed_elsewhere", "contract_liability"): 39600,
        ("redemption_payable", "redemption_cost"): 23200,
        ("redemption_payable", "payable"): -23200,
    }
    assert shown(journals[ENTITIES[H]]) == {
        ("redemption_receivable", "receivable"): 23200,
        ("redemption_receivable", "partner_revenue"): -23200,
    }


def test_an_agent_shows_the_difference_alone() -> None:
    journals = built(agents=(R,), of=[moved("redeemed", -59400, elsewhere=-39600), total(23200)])
    booked = journals[ENTITIES[R]]
    assert Purpose.REDEMPTION_COST not in {line.purpose for line in booked.lines}
    agency = sum(x.signed_minor for x in booked.lines if x.purpose is Purpose.AGENCY_REVENUE)
    assert agency == -(39600 - 23200)
    assert shown(booked)["redeemed", "points_revenue"] == -19800


def test_tax_comes_beside_net_and_gross() -> None:
    journals = built(of=[total(10000, tax=600)])
    assert shown(journals[ENTITIES[R]]) == {
        ("redemption_payable", "redemption_cost"): 10000,
        ("redemption_payable", "input_tax"): 600,
        ("redemption_payable", "payable"): -10600,
    }
    assert shown(journals[ENTITIES[H]]) == {
        ("redemption_receivable", "receivable"): 10600,
        ("redemption_receivable", "partner_revenue"): -10000,
        ("redemption_receivable", "output_tax"): -600,
    }
    assert {line.tax_code for line in journals[ENTITIES[H]].lines} == {"VAT6"}


def test_what_came_back_more_than_it_went_changes_sides() -> None:
    journals = built(of=[total(-800)])
    assert shown(journals[ENTITIES[R]]) == {
        ("redemption_payable", "redemption_cost"): -800,
        ("redemption_payable", "payable"): 800,
    }


def test_a_programme_company_sells_points_and_reimburses() -> None:
    journals = built(
        of=[
            moved("deferred", 125000, owner=P),
            moved("clawback", -1250, owner=P),
            moved("redeemed", -1200, elsewhere=-1200, owner=P),
            total(123750, debtor=R, creditor=P, kind=LineKind.ISSUE),
            total(960, debtor=P, creditor=H),
            total(240, debtor=P, creditor=R),
        ]
    )
    programme = journals[ENTITIES[P]]
    sold = sum(x.signed_minor for x in programme.lines if x.purpose is Purpose.POINTS_SOLD)
    assert sold == 0
    owed = sum(x.signed_minor for x in programme.lines if x.purpose is Purpose.CONTRACT_LIABILITY)
    assert owed == -(125000 - 1250 - 1200)
    cost = sum(x.signed_minor for x in programme.lines if x.purpose is Purpose.REDEMPTION_COST)
    assert cost == 960 + 240
    assert shown(journals[ENTITIES[R]])["issue_payable", "points_purchased"] == 123750
    assert Purpose.GOODS_REVENUE not in {x.purpose for d in journals.values() for x in d.lines}


def test_a_company_within_the_issuers_legal_entity_is_no_sale_of_points() -> None:
    """What is paid is within one set of books: there the points are deferred off goods revenue."""
    journals = built(
        entities={R: 10, P: 10, H: 20},
        of=[
            moved("deferred", 1000, owner=P),
            moved("clawback", -10, owner=P),
            total(990, debtor=R, creditor=P, kind=LineKind.ISSUE),
        ],
    )
    assert shown(journals[10]) == {
        ("deferred", "goods_revenue"): 1000,
        ("deferred", "contract_liability"): -1000,
        ("clawback", "goods_revenue"): -10,
        ("clawback", "contract_liability"): 10,
    }


@pytest.mark.parametrize(("agents", "cost"), [((), "points_purchased"), ((R,), "goods_revenue")])
def test_what_an_issuer_pays_for_points_is_cost_or_off_its_revenue(
    agents: tuple[int, ...], cost: str
) -> None:
    journals = built(agents=agents, of=[total(990, debtor=R, creditor=P, kind=LineKind.ISSUE)])
    assert shown(journals[ENTITIES[R]]) == {
        ("issue_payable", cost): 990,
        ("issue_payable", "payable"): -990,
    }


def test_one_legal_entity_owes_itself_nothing() -> None:
    journals = built(entities={R: 10, H: 10}, of=[moved("redeemed", -10, elsewhere=-10), total(8)])
    assert shown(journals[10]) == {
        ("redeemed_elsewhere", "points_revenue"): -10,
        ("redeemed_elsewhere", "contract_liability"): 10,
    }


def test_what_was_carried_over_is_in_the_books_already() -> None:
    assert built(of=[total(500, kind=LineKind.CARRIED)]) == {}


def test_every_kind_of_line_has_its_accounts() -> None:
    for kind in set(LineKind) - {LineKind.CARRIED}:
        journals = built(of=[total(700, tax=42, kind=kind)])
        assert set(journals) == {ENTITIES[R], ENTITIES[H]}
        (sheet,) = eliminate([posted(draft) for draft in journals.values()])
        assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0


def posted(draft: Draft) -> Journal:
    return Journal(
        reference=f"J-{draft.legal_entity_id}",
        period_id=1,
        period_code="2026-11",
        legal_entity_id=draft.legal_entity_id,
        legal_entity=f"entity-{draft.legal_entity_id}",
        currency=draft.currency,
        dated=date(2026, 11, 30),
        posted_at=datetime(2026, 12, 3, tzinfo=UTC),
        actor="wei",
        total_minor=draft.total_minor,
        lines=tuple(
            PostedLine(
                event=line.event,
                purpose=line.purpose,
                business_id=line.business_id,
                counterparty_id=line.counterparty_id,
                tax_code=line.tax_code,
                points=line.points,
                debit_minor=line.debit_minor,
                credit_minor=line.credit_minor,
                line_no=n,
                business=f"business-{line.business_id}",
                counterparty=line.counterparty_id and f"business-{line.counterparty_id}",
                account_code=f"{6000 + n}",
                account_name=line.purpose.value,
            )
            for n, line in enumerate(draft.lines, start=1)
        ),
    )


def test_elimination_takes_out_what_both_booked_and_leaves_tax() -> None:
    back = total(-300, debtor=H, creditor=R)
    journals = built(of=[moved("redeemed", -500), total(10000, tax=600), back])
    (sheet,) = eliminate([posted(draft) for draft in journals.values()])
    taken = {
        (r.purpose.value, r.business_id, r.event): r.debit_minor - r.credit_minor
        for r in sheet.rows
    }
    assert taken == {
        ("redemption_cost", R, "redemption_payable"): -10000,
        ("payable", R, "redemption_payable"): 10600,
        ("partner_revenue", H, "redemption_receivable"): 10000,
        ("receivable", H, "redemption_receivable"): -10600,
        ("redemption_cost", H, "redemption_payable"): 300,
        ("payable", H, "redemption_payable"): -300,
        ("partner_revenue", R, "redemption_receivable"): -300,
        ("receivable", R, "redemption_receivable"): 300,
    }


def test_elimination_refuses_what_only_one_side_booked() -> None:
    journals = built(of=[total(10000)])
    with pytest.raises(AssertionError, match="differs by"):
        eliminate([posted(journals[ENTITIES[H]])])


def test_the_sample_group_has_an_account_for_every_purpose() -> None:
    group = read_group(GROUP_FILE)
    entities = {business.legal_entity for business in group.businesses}
    for entity in entities:
        named = {
            purpose
            for chart in group.charts
            if entity in chart.legal_entities
            for purpose in chart.accounts
        }
        assert named == set(Purpose)
