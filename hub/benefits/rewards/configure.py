"""Configure: the catalogue of a group's file becomes dated terms, none of them edited."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.configure import refuse_benefits
from hub.errors import Conflict, Malformed, NotFound
from hub.programme.agree import PURPOSE
from hub.programme.queries import business_by_code
from hub.programme.versions import CODE, CURRENCY, add_version

LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
"""A language tag as BCP 47 has it, in its common form: zh, en, zh-Hant."""
_Language = Annotated[str, StringConstraints(pattern=LANGUAGE)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RewardText(_Config):
    """What a reward is called and what it is, in one language."""

    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=5_000)


class PictureConfig(_Config):
    """A picture, and what it shows for who cannot see it, by language."""

    url: str = Field(pattern=r"^https://[^\s]+$", max_length=1_000)
    alt: dict[_Language, str] = {}


class RewardConfig(_Config):
    """A version of a reward: what `business` gives for `points`, and `price_minor` of money if any.

    `limit_orders` is how many a member may order in a `limit_period`; `tier` the lowest that may.
    An order that needs money waits for it `pay_within_seconds`. What nobody hands out is a
    `voucher` of a campaign, or so many `uses` of a `benefit`, which ends `valid_days` after it was
    ordered or paid: the member has them at once. `stock` says whether there are only
    so many: how many is said by receiving them, not here.
    """

    code: str = Field(pattern=CODE)
    effective_from: AwareDatetime
    business: str
    category: str = Field(pattern=PURPOSE)
    points: int = Field(gt=0, le=10**12)
    price_minor: int = Field(default=0, ge=0, le=10**15)
    currency: str = Field(pattern=CURRENCY)
    tier: str | None = None
    limit_orders: int | None = Field(default=None, gt=0, le=1_000_000)
    limit_period: Literal["lifetime", "year", "month"] = "year"
    available_until: AwareDatetime | None = None
    pay_within_seconds: int = Field(default=3_600, ge=60, le=604_800)
    stock: Literal["counted", "unlimited"] = "counted"
    voucher: str | None = Field(default=None, pattern=CODE)
    benefit: str | None = Field(default=None, pattern=CODE)
    uses: int = Field(default=1, gt=0, le=10_000)
    valid_days: int = Field(default=365, ge=0, le=3660)
    texts: dict[_Language, RewardText] = Field(min_length=1)
    pictures: list[PictureConfig] = []


async def configure_rewards(db: AsyncConnection, *, rewards: Sequence[RewardConfig]) -> None:
    """Make the catalogue what the rows say. The same again changes nothing.

    Raises Conflict, naming the field, when terms that exist would have to be edited or a reward
    would change its business, NotFound for a tier or business that is not configured, Malformed for
    one that ends before it begins.
    """
    for reward in rewards:
        if reward.available_until is not None and reward.available_until <= reward.effective_from:
            raise Malformed(f"{reward.code} ends before it begins", field="available_until")
        reward_id = await _identity(db, reward)
        facts = reward.model_dump(
            exclude={"code", "effective_from", "business", "tier", "stock", "texts", "pictures",
                     "voucher", "benefit"}
        )  # fmt: skip
        facts["tier_id"] = await _named(db, "tier", reward.tier)
        if reward.voucher is not None:
            await refuse_benefits(db, code=reward.voucher, field="voucher")
        facts["campaign_id"] = await _named(db, "voucher_campaign", reward.voucher)
        facts["benefit_id"] = await _named(db, "benefit", reward.benefit)
        if reward.benefit is None:
            facts["uses"] = facts["valid_days"] = None
        facts["counted"] = reward.stock == "counted"
        texts = [{"language": tag, **said.model_dump()} for tag, said in reward.texts.items()]
        await add_version(
            db,
            "reward_terms",
            {"reward_id": reward_id, "effective_from": reward.effective_from},
            facts,
            {"texts": texts, "pictures": [one.model_dump() for one in reward.pictures]},
        )


async def _identity(db: AsyncConnection, reward: RewardConfig) -> int:
    """Insert what never changes of a reward, and its empty shelf; returns its id."""
    business = (await business_by_code(db, reward.business)).with_a_shop()
    await db.execute(
        text("""
          WITH made AS (INSERT INTO reward (code, business_id) VALUES (:code, :business_id)
            ON CONFLICT (code) DO NOTHING RETURNING reward_id)
          INSERT INTO reward_stock (reward_id) SELECT reward_id FROM made"""),
        {"code": reward.code, "business_id": business.business_id},
    )
    stored = (
        await db.execute(
            text("SELECT reward_id, business_id FROM reward WHERE code = :code"),
            {"code": reward.code},
        )
    ).one()
    if stored.business_id != business.business_id:
        raise Conflict(
            f"reward {reward.code} is another business's and stays so: give the new one its own "
            "code",
            field="business",
        )
    found: int = stored.reward_id
    return found


_NAMES = {"tier": "tier", "voucher_campaign": "campaign", "benefit": "benefit"}


async def _named(db: AsyncConnection, table: str, code: str | None) -> int | None:
    """Return the number of a tier, campaign or benefit; raises NotFound."""
    if code is None:
        return None
    name = _NAMES[table]
    query = text(f"SELECT {name}_id FROM {table} WHERE code = :code")  # noqa: S608 - names of ours
    found: int | None = await db.scalar(query, {"code": code})
    if found is None:
        field = "voucher" if name == "campaign" else name
        raise NotFound(f"there is no {name} {code!r}", field=field)
    return found
