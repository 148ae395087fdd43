"""Money, points and the sharing of whole units without loss.

Money is an integer count of a currency's minor unit; points are integers; rates are exact
decimals. No float stands between a till and a statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from hub.errors import Malformed

# Ten trillion in major units of two decimals: no bill comes near, and nothing overflows beyond it.
MOST_MINOR = 10**15
_MOST_DIGITS = 15

# ISO 4217 minor-unit exponents that differ from 2 (list one, 2024).
_EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}

# ISO 4217, list one: what money is counted in (metals, tests and the like are not).
_CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN
    BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN
    ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD
    JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
    MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
    QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF
    XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - one code a line would be a page
)


def exponent(currency: str) -> int:
    """Return the number of decimals of the currency's minor unit (ISO 4217): CNY 2, JPY 0, KWD 3.

    Raises Malformed when `currency` is none of the standard's.
    """
    if currency not in _CURRENCIES:
        raise Malformed(f"{currency[:9]!r} is not an ISO 4217 currency code", field="currency")
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in integer minor units of a currency (1234, "CNY" is ¥12.34)."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str | int | Decimal, currency: str, *, field: str = "amount") -> "Money":
        """Read a decimal amount as systems write it ("12.34", 12, Decimal("12.340")) exactly.

        Raises Malformed, naming `field`, for a float, for what is not a number, for more than
        MOST_MINOR and for more decimals than the currency has (a silent rounding would be a silent
        loss).
        """
        if isinstance(text, float):
            raise Malformed("amounts must be decimal text, not floats", field=field)
        try:
            value = Decimal(text)
        except (InvalidOperation, ValueError, TypeError) as bad:
            raise Malformed(f"{text!r} is not a decimal amount", field=field) from bad
        if not value.is_finite():
            raise Malformed(f"{text!r} is not a decimal amount", field=field)
        places = exponent(currency)
        # Looked at before it is written out: 1e999999 is short, and has a million digits.
        if value.adjusted() + places > _MOST_DIGITS:
            raise Malformed("no bill is that large", field=field)
        scaled = value.scaleb(places)
        minor = int(scaled)
        if scaled != minor:
            raise Malformed(f"{text!r} has more decimals than {currency} has", field=field)
        return cls(minor, currency)

    def __str__(self) -> str:
        places = exponent(self.currency)
        return f"{Decimal(self.minor).scaleb(-places):.{places}f}"


def is_rate(rate: Decimal) -> bool:
    """Say whether `rate` can be an exchange rate: positive, of at most 12 digits and 18 decimals.

    Asked before it is worked with: 1e-999999 is short, and has a million digits.
    """
    if not rate.is_finite() or rate <= 0 or rate.adjusted() > 11:
        return False
    exponent = rate.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -18


def many(number: object, what: str) -> str:
    """Say a number of things, in the right number: one point, two points."""
    return f"{number} {what}" if str(number) == "1" else f"{number} {what}s"


def share_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` whole units in proportion to `weights` so that the shares sum to `total`.

    Each share is first floored; the units left over go one each to the largest fractional
    remainders, earlier positions first on a tie (Hamilton's method). Weights must not be negative;
    with nothing to weigh by, nothing can be shared: a total other than 0 raises ValueError.
    """
    if total < 0 or min(weights, default=0) < 0:
        raise ValueError("total and weights must not be negative")
    base = sum(weights)
    if base == 0:
        if total:
            raise ValueError("cannot share a total over weights that sum to zero")
        return [0] * len(weights)
    shares = [total * weight // base for weight in weights]
    left = total - sum(shares)
    if left:
        behind = [
            share * base - total * weight for share, weight in zip(shares, weights, strict=True)
        ]
        for i in sorted(range(len(weights)), key=behind.__getitem__)[:left]:
            shares[i] += 1
    return shares
