"""Made-up people who live in families, and the records that businesses keep of them.

Every set is told by a seed and a kind. People share what people share: couples and their children
an address and often a landline or a mailbox, some sons their father's name, twins a birthday,
neighbours a building, guests of one company its booker's phone. Records of one person come from
years apart: people move, marry, change their phones. `bench.noise` says how records are misspelt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench import noise, people_names

Column = np.ndarray


@dataclass(frozen=True, slots=True)
class Kind:
    """What a set is like. Shares are of people or of records, as it makes sense."""

    chinese: bool = False
    columns: Mapping[str, str] | None = None
    missing: Mapping[str, float] | None = None
    noise: str = "typing"
    errors: float = 0.06
    """The share of a field's values that are misspelt."""
    records: float = 1.7
    """Records of a person, on average."""
    families: float = 1.0
    """The share of people who live with others."""
    moved: float = 0.12
    company: float = 0.0
    """The share of records that bear the phone and mailbox of a booker or an agency."""
    namesakes: float = 0.03
    """The share of first sons who are called as their father; of daughters a fifth of it."""


def population(kind: Kind, *, rows: int, seed: int) -> tuple[dict[str, Column], Column]:
    """Return about so many records, as columns, and whose each is."""
    draw = np.random.default_rng(seed)
    people = _people(kind, max(2, round(rows / kind.records)), draw)
    count = len(people["household"])
    times = 1 + draw.poisson(kind.records - 1, count)
    whose = np.repeat(np.arange(count), times)
    draw.shuffle(whose)
    told = _told(kind, people, whose, draw)
    for name, share in (kind.missing or {}).items():
        if name in told:
            told[name][draw.random(len(whose)) < share] = None
    noise.MODELS[kind.noise](told, kind.errors, draw)
    if kind.columns is not None:
        told = {shown: told[name] for shown, name in kind.columns.items()}
    return told, whose


def _people(kind: Kind, count: int, draw: np.random.Generator) -> dict[str, Column]:
    sizes = draw.choice([1, 2, 3, 4, 5, 6], count, p=[0.28, 0.32, 0.16, 0.15, 0.06, 0.03])
    sizes = np.where(draw.random(count) < kind.families, sizes, 1)
    homes = int(np.searchsorted(np.cumsum(sizes), count)) + 1
    sizes = sizes[:homes]
    household = np.repeat(np.arange(homes), sizes)
    head = np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = len(household)
    place = np.arange(size) - head
    make = people_names.chinese if kind.chinese else people_names.western
    men, women, surnames = make(draw)
    man = draw.random(size) < 0.5
    wife = (place == 1) & (draw.random(size) < 0.95)
    man[wife] = ~man[head[wife]]
    slope = 0.55 if kind.chinese else 0.75
    given = np.where(
        man, _of(men, people_names.zipf(draw, len(men), size, slope)),
        _of(women, people_names.zipf(draw, len(women), size, slope)),
    )  # fmt: skip
    family = _of(surnames, people_names.zipf(draw, len(surnames), size, 0.75))
    keeps = (place == 1) & (draw.random(size) < (0.97 if kind.chinese else 0.25))
    surname = np.where(keeps, family, family[head])
    born = np.datetime64("1935-01-01") + draw.integers(0, 22000, size).astype("timedelta64[D]")
    child, parent = place >= 2, (place >= 3) & (draw.random(size) < 0.15)
    days = draw.integers(-2200, 2200, size).astype("timedelta64[D]")
    years = draw.integers(7500, 13500, size).astype("timedelta64[D]")
    born = np.where(place == 1, born[head] + days, born)
    born = np.where(child, born[head] + years, born)
    born = np.where(parent, born[head] - years, born)
    twin = np.flatnonzero((place >= 3) & ~parent & (draw.random(size) < 0.04))
    born[twin] = born[twin - 1]
    often = np.where(man, kind.namesakes, kind.namesakes / 5)
    # Parents give their own name to one child, and no name twice.
    same = (place == 2) & (man == man[head]) & (draw.random(size) < often)
    for back in range(1, 6):
        earlier = np.maximum(np.arange(size) - back, head)
        twice = child & (earlier < np.arange(size)) & (given == given[earlier])
        given[twice] = np.where(man, men[-back], women[-back])[twice]
    twice = child & (given == given[head])
    given[twice] = np.where(man, men[-7], women[-7])[twice]
    if not kind.chinese:
        given[same] = given[head[same]]
        surname[same] = surname[head[same]]
    suffix = np.full(size, None, object)
    known = same & (draw.random(size) < 0.4)
    suffix[known] = "Jr"
    fathers = head[known & (draw.random(size) < 0.5)]
    suffix[fathers] = "Sr"
    new = _of(surnames, people_names.zipf(draw, len(surnames), size, 0.75))
    married = np.where(~man & (place == 0) & (draw.random(size) < 0.06), new, surname)
    people = {
        "household": household, "place": place, "head": head, "man": man, "given": given,
        "surname": surname, "married": married, "born": born, "suffix": suffix,
    }  # fmt: skip
    _contacts(kind, people, homes, draw)
    return people


def _of(names: list[str], numbers: Column) -> Column:
    return np.array(names, object)[numbers]


def _contacts(kind: Kind, people: dict[str, Column], homes: int, draw: np.random.Generator) -> None:
    size = len(people["household"])
    towns = max(3, homes // 4000)
    per_town = max(8, homes // towns // 12)
    for which in ("", "later_"):
        street = draw.integers(0, per_town, homes)
        town = np.minimum(draw.integers(0, towns, homes), draw.integers(0, towns, homes))
        number = draw.integers(1, 160, homes)
        flats = np.flatnonzero(draw.random(homes) < 0.25)
        other = draw.integers(0, homes, len(flats))
        for one in (street, town, number):
            one[flats] = one[other]
        if not which:
            names = people_names.streets(draw, per_town * towns)
            cities = people_names.cities(draw, min(towns, 400))
        people[which + "street"] = _of(names, town * per_town + street)
        people[which + "number"] = number.astype(str).astype(object)
        people[which + "city"] = _of(cities, town % len(cities))
        zone = (town * 37 + street // 25) % 89000 + 10000
        people[which + "postcode"] = zone.astype(str).astype(object)
    people["landline"] = _numbers(draw, homes, "0" if kind.chinese else "020 7", 8)
    people["mobile"] = _numbers(draw, size, "13" if kind.chinese else "+44 77", 9)
    people["new_mobile"] = _numbers(draw, size, "15" if kind.chinese else "+44 79", 9)
    hosts = np.array(["gmail.com", "yahoo.com", "outlook.com", "example.com", "mail.test"], object)
    host = hosts[draw.integers(0, 5, size)]
    digits = draw.integers(0, 100, size)
    style = draw.integers(0, 4, size)
    boxes = []
    for k, (g, s) in enumerate(zip(people["given"], people["surname"], strict=True)):
        if kind.chinese:
            boxes.append(f"u{draw.integers(10**7)}" if k % 2 else f"wx_{digits[k]}{k % 9973}")
            continue
        text = (f"{g}.{s}", f"{g[0]}{s}", f"{g}{s}{digits[k]:02}", f"{s}.{g}{digits[k]:02}")
        boxes.append(text[style[k]].lower())
    people["email"] = _unique(np.array(boxes, object), "@" + host)
    people["passport"] = _numbers(draw, size, "P", 8)


def _unique(boxes: Column, host: Column) -> Column:
    """A provider gives a mailbox to one person only; the next takes it with a number."""
    taken: dict[str, int] = {}
    found = []
    for box, at in zip(boxes, host, strict=True):
        times = taken[box + at] = taken.get(box + at, 0) + 1
        found.append(box + at if times == 1 else f"{box}.{times}{at}")
    return np.array(found, object)


def _numbers(draw: np.random.Generator, count: int, front: str, digits: int) -> Column:
    low = 10 ** (digits - 1)
    return front + draw.integers(low, 10 * low, count).astype(str).astype(object)


def _told(
    kind: Kind, people: dict[str, Column], whose: Column, draw: np.random.Generator
) -> dict[str, Column]:
    """What each record says before anybody misspells it."""
    size = len(whose)
    home, head, place = people["household"][whose], people["head"][whose], people["place"]
    later = draw.random(size) < kind.moved
    told: dict[str, Any] = {
        "given_name": people["given"][whose],
        "surname": np.where(
            draw.random(size) < 0.5, people["surname"][whose], people["married"][whose]
        ),
        "suffix": np.where(draw.random(size) < 0.8, people["suffix"][whose], None),
    }
    for one in ("street", "number", "city", "postcode"):
        told[one] = np.where(later, people["later_" + one][home], people[one][home])
    lot = draw.random(size)
    phone = np.where(lot < 0.18, people["landline"][home], people["mobile"][whose])
    asks = (place[whose] >= 1) & (lot > np.where(place[whose] >= 2, 0.93, 0.96))
    phone = np.where(asks, people["mobile"][head], phone)
    told["phone"] = np.where((lot > 0.78) & (lot < 0.86), people["new_mobile"][whose], phone)
    shares = draw.random(len(place)) < np.where(place == 1, 0.12, 0.04)
    told["email"] = np.where(shares[whose], people["email"][head], people["email"][whose])
    told["document"] = people["passport"][whose]
    born = people["born"][whose].astype("datetime64[D]")
    told["born"] = born.astype(str).astype(object)
    told["sex"] = np.where(people["man"][whose], "M", "F").astype(object)
    if kind.company:
        from_company = draw.random(size) < kind.company
        bookers = max(2, size // 400)
        booker = draw.integers(0, bookers, size)
        phones = _numbers(draw, bookers, "+1 212 5", 6)
        told["phone"] = np.where(from_company, phones[booker], told["phone"])
        boxes = np.array([f"travel{k}@firm{k % 97}.test" for k in range(bookers)], object)
        told["email"] = np.where(from_company, boxes[booker], told["email"])
    told = {name: np.array(column, object) for name, column in told.items()}
    _whole(kind, told, draw)
    return told


def _whole(kind: Kind, told: dict[str, Column], draw: np.random.Generator) -> None:
    if kind.chinese:
        noise.in_letters(told, draw)
        return
    told["name"] = told["given_name"] + " " + told["surname"]
    told["address"] = told["number"] + " " + told["street"]


# Birthdays are known of few guests, and phones and mailboxes of most.
WESTERN = {
    "first_name": "given_name", "last_name": "surname", "dob": "born", "street_number": "number",
    "street": "street", "city": "city", "postcode": "postcode", "phone": "phone", "email": "email",
}  # fmt: skip
SHORT = {
    "fname": "given_name", "lname": "surname", "dob": "born", "addr1": "address", "tel": "phone",
    "mail": "email",
}  # fmt: skip
GUESTS = {
    "guest_name": "name", "email": "email", "mobile": "phone", "passport_no": "document",
    "birth_date": "born", "city": "city", "gender": "sex",
}  # fmt: skip
_SOME = {"born": 0.25, "phone": 0.3, "email": 0.35, "street": 0.08, "postcode": 0.08, "suffix": 0.3}
_FEW = _SOME | {"born": 0.8}
_HOTEL = {"born": 0.7, "phone": 0.25, "email": 0.2, "document": 0.6, "city": 0.3, "sex": 0.4}
_BASE = Kind(columns=WESTERN, missing=_SOME)

KINDS: dict[str, Kind] = {
    "western": _BASE,
    "western-few-birthdays": replace(_BASE, missing=_FEW),
    "western-heavy": replace(_BASE, errors=0.2, missing=_SOME),
    "western-no-families": replace(_BASE, families=0.0),
    "short": replace(_BASE, columns=SHORT),
    "short-few-birthdays": replace(_BASE, columns=SHORT, missing=_FEW | {"address": 0.1}),
    "hospitality": Kind(columns=GUESTS, missing=_HOTEL, company=0.06),
    "no-birthday": replace(
        _BASE, columns={shown: name for shown, name in WESTERN.items() if name != "born"}
    ),
    "name-address": replace(
        _BASE,
        columns={
            shown: name
            for shown, name in WESTERN.items()
            if name not in ("born", "phone", "email")
        },
    ),
    "name-birthday": replace(_BASE, columns={"fname": "given_name", "lname": "surname",
                                             "birthdate": "born"}, missing={}),
    "name-phone": replace(_BASE, columns={"name": "name", "phone": "phone"}, missing={}),
    "name-email": replace(_BASE, columns={"name": "name", "mail": "email", "zip": "postcode"}),
    "chinese": Kind(
        chinese=True, columns={"姓名": "name", "手机号": "phone", "生日": "born", "城市": "city",
                               "邮箱": "email"}, missing={"born": 0.5, "phone": 0.1, "email": 0.6},
    ),
}  # fmt: skip
