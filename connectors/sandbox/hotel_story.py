"""Six weeks of the hotel: stays, cancellations, and folios that change after check-out."""

from datetime import datetime, timedelta

from connectors.sandbox.hotel import (
    ENTERPRISE_ID,
    INTEGRATION_ID,
    HotelStay,
    book,
    cancel,
    hotel_customer,
    stay_through,
    utc,
)
from connectors.sandbox.people import LI_JINGYI, Person
from connectors.sandbox.stage import DAYS, Stage
from connectors.sandbox.writing import to_json

LI_JINGYI_RATE = 128_000
LI_JINGYI_NIGHTS = 3


def tell(stage: Stage) -> None:
    """Let everybody who goes to the hotel stay there once or twice; some never come."""
    for person in stage.people:
        if "h" not in person.goes_to:
            continue
        stays = 1 if person is LI_JINGYI else stage.random.choice((1, 1, 2))
        arrivals = sorted(_arrival(stage, person) for _ in range(stays))
        customer_id = _arrive(stage, person, arrivals[0])
        for arrival in arrivals:
            _stay(stage, person, customer_id, arrival)


def _arrival(stage: Stage, person: Person) -> datetime:
    if person is LI_JINGYI:
        return stage.at(12, 15, 10)
    days_ago = stage.random.randint(1, DAYS - 5) + 5
    return stage.at(days_ago, stage.random.randint(14, 21), stage.random.randrange(60))


def _arrive(stage: Stage, person: Person, at: datetime) -> str:
    roll = 99 if person is LI_JINGYI else stage.random.randrange(100)
    sort = "site" if roll < 12 else "desk" if roll < 17 else "direct"
    guest = hotel_customer(person, at, sort=sort)
    if person is LI_JINGYI:
        guest |= {"FirstName": "Jingyi", "LastName": "Li"}
    stage.guests[guest["Id"]] = guest
    _notice(stage, at, ("CustomerAdded", guest["Id"]), ("CustomerUpdated", guest["Id"]))
    return str(guest["Id"])


def _stay(stage: Stage, person: Person, customer_id: str, arrival: datetime) -> None:
    counts = stage.counts["mews"]
    nights = LI_JINGYI_NIGHTS if person is LI_JINGYI else stage.random.choice((1, 1, 2, 3))
    stay = book(len(stage.stays), customer_id, arrival, nights)
    stage.stays[stay.id] = stay
    roll = 99 if person is LI_JINGYI else stage.random.randrange(100)
    if roll < 5:  # still to come, or in the house
        _notice(stage, arrival, ("ServiceOrderUpdated", stay.id), ("ResourceUpdated", "room"))
        return
    if roll < 17:
        no_show = roll < 10
        at = arrival + timedelta(hours=8) if no_show else arrival - timedelta(days=2)
        cancel(stay, at, no_show=no_show)
        counts.update({"no_shows" if no_show else "cancelled": 1})
        _notice(stage, at, ("ServiceOrderUpdated", stay.id))
        return
    rate = LI_JINGYI_RATE if person is LI_JINGYI else None
    left_at = stay_through(stage.random, stay, arrival, nights, rate=rate)
    charged = stay.charged_minor
    counts.update(stays=1, sold_minor=charged)
    _notice(stage, left_at, ("ServiceOrderUpdated", stay.id))
    if stage.chance(20):
        _notice(stage, left_at + timedelta(minutes=4), ("ServiceOrderUpdated", stay.id))
    if person is not LI_JINGYI:
        _afterwards(stage, stay, left_at)


def _afterwards(stage: Stage, stay: HotelStay, left_at: datetime) -> None:
    """Charge a minibar late, or give a night back after the guest complained."""
    counts = stage.counts["mews"]
    at = stage.after(left_at, minutes=180)
    if stage.chance(7):
        stay.charge("ProductOrder", 4_200, at)
        counts.update(late_sales=1, sold_minor=4_200)
    elif stage.chance(14):
        night = stay.items[0]
        before = stay.given_back_minor
        stay.rebate(night, at, half=stage.chance(60))
        counts.update(refunds=1, refunded_minor=stay.given_back_minor - before)
    else:
        return
    stay.reservation |= {"UpdatedUtc": utc(at)}
    _notice(stage, at, ("ServiceOrderUpdated", stay.id))


def _notice(stage: Stage, at: datetime, *events: tuple[str, str]) -> None:
    message = {
        "EnterpriseId": ENTERPRISE_ID,
        "IntegrationId": INTEGRATION_ID,
        "Events": [{"Discriminator": kind, "Value": {"Id": entity}} for kind, entity in events],
    }
    stage.send("mews", at, to_json(message))
