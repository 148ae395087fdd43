"""Which rows of a table are one person, of small tables in which every decision can be followed."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hub.errors import Malformed
from hub.members.matching import resolve_frame, table
from hub.members.matching.columns import Field, detect
from hub.members.matching.comparing import compare
from hub.members.matching.scoring import Scored
from hub.members.matching.thresholds import LEAST_BITS, threshold
from hub.members.matching.weights import Level

Row = dict[str, Any]
ANNA: Row = {
    "first_name": "Anna", "last_name": "Kowalczyk", "dob": "1984-07-19", "phone": "+48 601 234 876",
    "email": "anna.kowalczyk@example.com", "address_1": "12 Linden St", "city": "Poznan",
    "postcode": "60101", "passport": "EH4829174",
}  # fmt: skip


def grouped(*rows: Row) -> list[list[int]]:
    """Which rows are one person's, of a table with the columns that any of them has."""
    labels = resolve_frame(pd.DataFrame(rows)).tolist()
    groups: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(label, []).append(row)
    return [group for group in groups.values() if len(group) > 1]


@pytest.mark.parametrize(
    "change",
    [
        {"first_name": "Ana"},
        {"first_name": "Kowalczyk", "last_name": "Anna"},
        {"dob": "1984-07-91"},
        {"dob": "19.07.1984"},
        {"dob": "1984-10-07", "phone": None},
        {"phone": "0601234876", "email": None},
        {"email": "Anna.Kowalczyk@Example.COM", "address_1": "12 Linden Street"},
        {"dob": None, "address_1": None, "city": None, "postcode": None, "passport": None},
        {"last_name": "Nowak"},
    ],
)
def test_one_person_told_twice_is_one(change: Row) -> None:
    assert grouped(ANNA, ANNA | change) == [[0, 1]]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"first_name": "Zofia", "passport": "EH5100882"}, id="a twin"),
        pytest.param({"first_name": "Zofia", "passport": "EH4829175"}, id="a twin, next in line"),
        pytest.param({"first_name": "Zofia", "passport": None}, id="a twin without a passport"),
        pytest.param({"dob": "1951-02-03", "passport": None}, id="a mother of the same name"),
        pytest.param(
            {"first_name": "Piotr", "dob": None, "passport": None}, id="a husband with her phone"
        ),
        pytest.param({"first_name": None, "dob": None, "passport": None}, id="anybody at her home"),
        pytest.param({"last_name": "Kowalczyk Jr", "passport": None, "dob": None}, id="junior"),
        pytest.param(
            {"passport": "XX0000991", "phone": None, "email": None, "address_1": None, "city": None,
             "postcode": None}, id="a namesake with another passport"),
    ],
)  # fmt: skip
def test_a_relative_or_a_namesake_is_somebody_else(other: Row) -> None:
    first = ANNA | {"last_name": "Kowalczyk Sr"} if "Jr" in str(other) else ANNA
    assert grouped(first, ANNA | other) == []


def test_a_common_name_alone_tells_nobody() -> None:
    assert grouped(*[{"name": "John Smith"}] * 4) == []
    assert grouped(*[{"name": "王伟", "city": "上海"}] * 3) == []


def test_rows_that_say_the_same_of_one_person_are_one() -> None:
    assert grouped(*[ANNA] * 30) == [list(range(30))]


def test_names_in_characters_and_in_letters_are_compared_by_sound() -> None:
    chinese = {"name": "单小明", "phone": "13910203047", "email": "xm_shan@example.cn"}
    latin = {"name": "Shan Xiao Ming", "phone": "+86 139 1020 3047", "email": None}
    other = {"name": "Xiaoming Shan", "phone": "008613910203047", "email": "xm_shan@example.cn"}
    assert grouped(chinese, latin, other) == [[0, 1, 2]]


def test_what_many_go_by_leads_to_nobody() -> None:
    names = ["Ada Berg", "Bo Chen", "Cleo Diaz", "Dan Ek", "Eve Fox", "Finn Gray", "Ada Bergh"]
    desk = [{"name": n, "phone": "+1 212 555 7788"} for n in names]
    agency = [{"name": "Ada Berg", "email": "x7@guest.booking.com"}] * 2
    assert grouped(*desk) == []
    assert grouped(*agency) == []


def test_a_birthday_may_be_any_kind_of_cell() -> None:
    told = ["1984-07-19", 19840719, 19840719.0, pd.Timestamp(1984, 7, 19), "1984年7月19日"]
    people = pd.DataFrame([ANNA | {"dob": day} for day in told], index=[9, 9, 4, 2, 7])
    people["dob"] = people["dob"].astype(object)
    assert resolve_frame(people).tolist() == [0] * 5


def test_parts_of_a_birthday_are_one_field() -> None:
    carsten = {"fname_c1": "CARSTEN", "lname_c1": "MEIER", "by": 1949, "bm": 7.0, "bd": 22}
    people = [{**carsten, "zip": "50667", "city": "Köln"} for _ in range(2)]
    people[1]["bd"] = 23
    people.append({**carsten, "fname_c1": "GERD", "zip": "50667", "city": "Köln"})
    assert grouped(*people) == [[0, 1]]


def test_any_kind_of_table_is_read_alike() -> None:
    rows = [ANNA, {**ANNA, "first_name": "Zofia", "passport": None}, {**ANNA, "dob": None}]
    frame = pd.DataFrame(rows)
    expected = [0, 1, 0]
    assert resolve_frame(frame).tolist() == expected
    assert resolve_frame(pa.Table.from_pandas(frame)).tolist() == expected
    assert resolve_frame({name: list(frame[name]) for name in frame}).tolist() == expected
    assert resolve_frame(frame.set_index(pd.Index(["c", "a", "a"]))).tolist() == expected


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"rec_id": [1, 1, 2], "cluster": [7, 7, 7]}),
        pd.DataFrame({"first_name": [None] * 3, "dob": [np.nan] * 3, "email": ["", "n/a", " "]}),
        pd.DataFrame({"phone": ["0000000000", "1111111111", "123456789"]}),
    ],
)
def test_where_nothing_is_said_of_anybody_everybody_is_alone(frame: pd.DataFrame) -> None:
    assert resolve_frame(frame).tolist() == [0, 1, 2]


def test_a_table_without_rows_has_no_labels() -> None:
    assert resolve_frame(pd.DataFrame({"first_name": []})).tolist() == []
    assert resolve_frame({}).tolist() == []


def test_columns_are_known_by_their_names() -> None:
    found, unused = detect(["Given Name", "lastName", "DATE_OF_BIRTH", "soc_sec_id", "rec_id"])
    assert found == {
        Field.GIVEN_NAME: [0],
        Field.SURNAME: [1],
        Field.BIRTHDAY: [2],
        Field.DOCUMENT: [3],
    }
    assert unused == [4]


def test_what_a_column_says_can_be_told() -> None:
    frame = pd.DataFrame([ANNA | {"passport": None}] * 2).rename(
        columns={"phone": "ruf", "email": "kontakt"}
    )
    told = frame.assign(first_name=["Anna", "Zofia"])
    assert resolve_frame(told).tolist() == [0, 1]
    chosen = {"first_name": "", "ruf": "phone", "kontakt": "email"}
    assert resolve_frame(told, columns=chosen).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("chosen", "field"), [({"ruf": "phone"}, "ruf"), ({"phone": "telephone"}, "phone")]
)
def test_a_wish_that_cannot_be_is_refused(chosen: dict[str, str], field: str) -> None:
    with pytest.raises(Malformed) as refusal:
        resolve_frame(pd.DataFrame([ANNA]), columns=chosen)
    assert refusal.value.field == field


@pytest.mark.parametrize("records", [None, 7, "first_name", {"a": [1], "b": [1, 2]}])
def test_what_is_no_table_is_refused(records: object) -> None:
    with pytest.raises(Malformed):
        resolve_frame(records)


def test_what_may_be_of_the_father_or_of_his_son_is_of_neither() -> None:
    home = {"address_1": "12 Linden St", "city": "Poznan", "postcode": "60101"}
    jan: Row = {"first_name": "Jan", "last_name": "Zawadzki", "phone": "+48 602 113 549"} | home
    father, son = jan | {"dob": "1951-02-03"}, jan | {"dob": "1979-11-23"}
    unknown = jan | {"dob": None, "phone": None}
    assert grouped(father, jan | {"dob": None}) == [[0, 1]]
    assert grouped(father, son, unknown) == []


def test_names_that_many_bear_are_no_slips_of_one_another() -> None:
    names = ["Diana"] * 9 + ["Diane"] * 9 + ["Dianna"]
    phones = [f"55{k}7{k}01{k:02}" for k in range(19)]
    people = table.build({Field.GIVEN_NAME: [names], Field.PHONE: [phones]}, 19)
    diana, diane, dianna = people.rows[[0, 9, 18]]
    left, right = np.array([diana, diana], np.int32), np.array([diane, dianna], np.int32)
    assert compare(people, left, right)[:, 0].tolist() == [Level.PARTLY, Level.NEAR]


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("anna.berg@example.com", "anna.brg@example.com", Level.NEAR),
        ("anna.berg@example.com", "anna.berg@mail.test", Level.DIFFERENT),
        ("annaberg84@example.com", "annaberg84@mail.test", Level.PARTLY),
        ("annaberg84@example.com", "annaberg85@example.com", Level.DIFFERENT),
        ("annaberg84@example.com", "zofia@example.com", Level.DIFFERENT),
    ],
)
def test_mailboxes_made_of_a_name_are_told_by_their_numbers(
    one: str, other: str, level: Level
) -> None:
    people = table.build({Field.EMAIL: [[one, other]]}, 2)
    assert compare(people, np.array([0], np.int32), np.array([1], np.int32)).tolist() == [[level]]


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("1984-07-19", "1984-07-18", Level.NEAR),
        ("1984-07-19", "1984-07-91", Level.NEAR),
        ("1984-07-09", "1984-09-07", Level.NEAR),
        ("1984-07-19", "1984-10-19", Level.PARTLY),
        ("1984-07-19", "1979-07-19", Level.PARTLY),
        ("1984-07-19", "1951-02-03", Level.DIFFERENT),
        ("--07-19", "1984-07-19", Level.NEAR),
        ("--07-19", "1984-07-20", Level.DIFFERENT),
        ("1984-00-00", "1984-07-19", Level.MISSING),
    ],
)
def test_birthdays_agree_by_degrees(one: str, other: str, level: Level) -> None:
    people = table.build({Field.BIRTHDAY: [[one, other]]}, 2)
    pair = compare(people, np.array([0], np.int32), np.array([1], np.int32))
    assert pair.tolist() == [[level]]


def test_the_threshold_is_where_no_more_is_expected_to_be_false() -> None:
    def pairs(*weights: tuple[float, int]) -> Scored:
        bits = np.repeat([w for w, _ in weights], [n for _, n in weights]).astype(np.float64)
        rows = np.zeros(len(bits), np.int32)
        none = np.zeros(len(bits), np.uint8)
        return Scored(rows, rows, bits, none, np.zeros((len(bits), 0), np.int8))

    rich = pairs((20, 9000), (8, 500), (5, 500), (3, 100))
    assert threshold(rich) == 8
    assert threshold(rich, strict=True) == 20
    thin = pairs((6, 600), (5, 300), (4, 400), (1, 10))
    assert threshold(thin) == 4
    assert threshold(thin, strict=True) > 6
    assert threshold(pairs((20, 3))) > LEAST_BITS
