"""What a till asks about a cart, and where it stands."""

import hashlib
import re
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from functools import cached_property

import orjson

from hub.benefits.quoting.best_quote import Policy
from hub.benefits.quoting.cart import Cart, Line
from hub.benefits.vouchers.codes import normalise
from hub.benefits.vouchers.worth import Bill
from hub.crypto.keyring import Keyring
from hub.errors import Malformed
from hub.programme.queries import Business

LONGEST_KEY = 180
LONGEST_TTL_SECONDS = 7 * 24 * 3600
TTL_SECONDS = 900
LONGEST_NAME = 200
MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A till: its business, the business's trading day, the group's date, the instant, the keys.

    `time_zone` is the group's, by which quotas and points end. `prefixed_first`: where a key names
    two baskets, of a time when each way to ask had keys of its own, GraphQL's is meant.
    """

    business: Business
    business_date: date
    today: date
    now: datetime
    time_zone: str
    keyring: Keyring
    prefixed_first: bool = False


@dataclass(frozen=True)
class CartAsked:
    """A cart and what is to be used for it.

    `vouchers` are codes, `benefits` short names; None: whatever the member has that is for it.
    `points` is how many points the member would spend at most.
    """

    lines: tuple[Line, ...]
    currency: str
    outlet: str | None = None
    vouchers: tuple[str, ...] | None = None
    benefits: tuple[str, ...] | None = None
    points: int = 0
    policy: Policy = Policy.SKIP_INVALID

    @cached_property
    def cart(self) -> Cart:
        """The lines alone."""
        return Cart(self.lines, self.currency)

    @cached_property
    def bill(self) -> Bill:
        """The cart at list prices, as vouchers look at it."""
        categories: dict[str, int] = {}
        for line in self.lines:
            if line.category is not None and not line.delivery:
                before = categories.get(line.category, 0)
                categories[line.category] = before + line.list_minor
        return Bill(
            amount_minor=self.cart.list_minor,
            currency=self.currency,
            delivery_minor=sum(line.list_minor for line in self.lines if line.delivery),
            outlet=self.outlet,
            categories=categories,
        )

    def checked(self, business: Business) -> "CartAsked":
        """Return it; raises Malformed, naming the field, for what no till of `business` means."""
        self.cart.checked()
        self._names_checked()
        if self.currency != business.currency:
            raise Malformed(f"{business.code} sells in {business.currency}", field="currency")
        for field in ("vouchers", "benefits"):
            named = getattr(self, field) or ()
            if len(named) > MOST_NAMED:
                raise Malformed(f"name at most {MOST_NAMED}", field=field)
            for place, name in enumerate(named):
                _checked_name(name, field=f"{field}[{place}]")
                if name in named[:place]:
                    raise Malformed("it is named twice", field=f"{field}[{place}]")
        for place, code in enumerate(self.vouchers or ()):
            try:
                normalise(code)
            except Malformed as no:
                raise Malformed(no.message, field=f"vouchers[{place}]") from no
        if not 0 <= self.points <= 10**12:
            raise Malformed("points are from 0 to 1000000000000", field="points")
        return self

    def _names_checked(self) -> None:
        _checked_name(self.outlet, field="outlet")
        for place, line in enumerate(self.lines):
            for field in ("id", "category", "item"):
                _checked_name(getattr(line, field), field=f"lines[{place}].{field}")

    def digests(self, **more: object) -> dict[str, str]:
        """Return a digest of each field: a request is told from another, its codes are not kept."""
        facts = {**asdict(self), **more}
        return {name: _digest(value) for name, value in sorted(facts.items())}


_OF_CART = {one.name for one in fields(CartAsked)} | {"member"}


def placed(name: str) -> str:
    """Return where a request has what a verb names: what is the cart's is in its `cart`."""
    return f"cart.{name}" if re.split(r"[.\[]", name, maxsplit=1)[0] in _OF_CART else name


def checked_key(key: str, *, field: str = "key") -> None:
    """Raise Malformed unless a key can be kept."""
    if not (1 <= len(key) <= LONGEST_KEY and key.isprintable()):
        raise Malformed(f"a key has 1 to {LONGEST_KEY} printable characters", field=field)


def _checked_name(name: str | None, *, field: str) -> None:
    if name is not None and not (1 <= len(name) <= LONGEST_NAME and name.isprintable()):
        raise Malformed(f"a name has 1 to {LONGEST_NAME} printable characters", field=field)


def checked_ttl(ttl_seconds: int) -> None:
    """Raise Malformed for a time that nothing is set aside for."""
    if not 0 < ttl_seconds <= LONGEST_TTL_SECONDS:
        raise Malformed(f"ttl_seconds is from 1 to {LONGEST_TTL_SECONDS}", field="ttl_seconds")


def _digest(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
