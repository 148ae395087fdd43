"""A business's system says who brought whom: whatever arrives first, it counts once."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

from tests.integration.test_dropping import dropped, hub
from tests.support.sandbox import Hub

__all__ = ["hub"]  # a fixture


def told(n: int) -> dict[str, tuple[dict[str, Any], ...]]:
    """What is told of one friend: who they are, what they bought, and what came back of it."""
    sale = {
        "type": "sale.completed", "id": f"S-{n}", "occurred_at": "2026-10-05T12:30:00+08:00",
        "total": "150.00", "lines": [{"id": "1", "amount": "150.00"}],
        "customer": {"id": f"C-{n}"},
    }  # fmt: skip
    profile = {
        "type": "profile.changed", "id": f"C-{n}", "occurred_at": "2026-10-05T12:00:00+08:00",
        "customer": {"name": f"Friend {n}", "referred_by": "C-boss"},
    }  # fmt: skip
    refund = {
        "type": "refund.recorded", "id": f"R-{n}", "sale": f"S-{n}", "amount": "100.00",
        "occurred_at": "2026-10-06T12:30:00+08:00",
    }  # fmt: skip
    return {"profile": (profile, profile), "sale": (sale,), "refund": (refund,)}


def enveloped(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": event["type"], "data": {k: v for k, v in event.items() if k != "type"}}


async def test_what_is_told_in_any_order_counts_the_same(hub: Hub, tmp_path: Path) -> None:
    boss = {
        "type": "profile.changed", "id": "C-boss", "occurred_at": "2026-10-01T12:00:00+08:00",
        "customer": {"name": "Boss", "referred_by": "C-nobody"},
    }  # fmt: skip
    orders = [*permutations(("profile", "sale")), *permutations(("profile", "sale", "refund"))]
    rounds = [[boss]]
    for place in range(3):
        rounds.append([
            event for n, order in enumerate(orders) if len(order) > place
            for event in told(n)[order[place]]
        ])  # fmt: skip
    for place, events in enumerate(rounds):
        file = tmp_path / f"{place}.jsonl"
        file.write_text("\n".join(json.dumps(enveloped(event)) for event in events))
        code, said = await dropped(file)
        assert code == 0, said
        await hub.work()
    rows = await hub.rows("""
      SELECT a.external_id, r.outcome, q.n FROM referral r
      JOIN account a ON a.account_id = r.referred_account_id
      LEFT JOIN (SELECT sale, sum(referrals)::int AS n FROM qualifying_activity GROUP BY 1) q
        ON q.sale = 'referral:' || r.referral_id ORDER BY a.external_id""")
    assert [(name, outcome, n or 0) for name, outcome, n in rows] == [
        (f"C-{n}", "counted" if len(order) == 2 else "waiting", 1 if len(order) == 2 else 0)
        for n, order in enumerate(orders)
    ]
