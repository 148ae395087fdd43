"""The programme's rules: read by who is signed in; what is to come, and costs, by who may know."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hub.benefits.configure import configure
from hub.benefits.tiers.configure import TierConfig
from hub.clock import now
from hub.programme.apply import EarningRuleConfig, apply
from tests.integration.api_kit import FINANCE, HOTEL, PROGRAMME, SHOP, STAFF, Api

RULES = """{ programme { name
  earningRules { business { code } unit effectiveFrom pointsPerUnit costPerPoint funder { code }
    multipliers { appliesTo factor } }
  expiryPolicies { unit mode months roundUpTo effectiveFrom exemptTiers }
  ladders { code business { code } versions { window currency effectiveFrom }
    tiers { code rank name effectiveFrom need reach { kind asked } life { kind asked } } } } }"""


async def told(api: Api, who: Any) -> Any:
    return (await api.data(RULES, who))["programme"]


async def test_rules_are_for_everybody_and_what_is_to_come_for_those_concerned(api: Api) -> None:
    soon = now() + timedelta(days=30)
    li = await api.join("shop", "c-1", phone="+8613910203040")
    ahead = EarningRuleConfig(
        business="shop",
        effective_from=soon,
        points_per_unit=Decimal(3),
        qualifying_per_unit=Decimal(1),
        cost_per_point=Decimal("0.02"),
    )
    dearer = TierConfig(
        code="gold", effective_from=soon, name="Gold", name_zh="金", rank=2, threshold=6000
    )
    async with api.engine.begin() as db:
        rules = [*PROGRAMME.earning_rules, ahead]
        await apply(db, config=PROGRAMME.model_copy(update={"earning_rules": rules}))
        await configure(db, tiers=[dearer], benefits=[])
    for name in ("earningRules { number }", "expiryPolicies { mode }", "ladders { code }"):
        assert await api.code(f"{{ programme {{ {name} }} }}") == "unauthenticated"
    for who, sees, knows in (
        (li.principal, set(), set()),
        (HOTEL, set(), {"hotel"}),
        (SHOP, {"shop"}, {"shop"}),
        (STAFF, {"shop", "group"}, {"shop", "hotel", "diner"}),
        (FINANCE, {"shop", "group"}, {"shop", "hotel", "diner"}),
    ):
        found = await told(api, who)
        of_shop = [r for r in found["earningRules"] if r["business"]["code"] == "shop"]
        assert [r["pointsPerUnit"] for r in of_shop] == ["3.000000"] * ("shop" in sees) + [
            "1.000000"
        ]
        priced = {r["business"]["code"] for r in found["earningRules"] if r["costPerPoint"]}
        assert priced == {r["business"]["code"] for r in found["earningRules"] if r["funder"]}
        assert priced == knows
        (policy,) = found["expiryPolicies"]
        assert (policy["unit"], policy["mode"], policy["months"]) == (None, "months", 12)
        (ladder,) = found["ladders"]
        assert (ladder["code"], ladder["business"]) == ("group", None)
        gold = [t["reach"] for t in ladder["tiers"] if t["code"] == "gold"]
        asks = [[{"kind": "POINTS", "asked": n}] for n in (6000, 5000)]
        assert gold == (asks if "group" in sees else asks[1:])
        assert [t["code"] for t in ladder["tiers"]][:2] == ["iron", "silver"]
