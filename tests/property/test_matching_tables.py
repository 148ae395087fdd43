"""Whatever a table holds, and in whatever order: the same rows are grouped alike."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.judging import judge
from bench.populations import KINDS, population
from hub.members.matching import resolve_frame
from hub.members.matching.columns import Field

_NAMES = [
    "first_name", "surname", "name", "dob", "by", "bm", "bd", "street_number", "address", "unit",
    "city", "zip", "state", "phone", "email", "passport", "card_no", "unionid", "sex", "suffix",
    "rec_id",
]  # fmt: skip
_CELLS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "n/a", "Anna", "J", "Ann Lee", "李 伟", "王*", "12 High St", "19840719",
         "1984-07-19", "0000-00-00", "--07-19", "+44 20 7946 0991", "0044 2079460991", "a@b.co",
         "@", "a@", "12", "0", "m", "Jr", "é" * 300, "\x00", "٣٤", "ß", 0, 1, -1, 7.0, 1e300,
         float("nan"), float("inf"), True, pd.NaT, pd.NA, np.int64(3), np.float32(2.5), b"ab",
         date(1984, 7, 19), datetime(1984, 7, 19, tzinfo=UTC), pd.Timestamp(1984, 7, 19)]
    ),
    st.text(max_size=12),
    st.integers(0, 99999999),
)  # fmt: skip


def _grouped(labels: Any) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(int(label), set()).add(row)
    return {frozenset(rows) for rows in groups.values()}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_cells_at_all_are_read(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 6))
    names = data.draw(st.lists(st.sampled_from(_NAMES), max_size=6, unique=True))
    table = {name: data.draw(st.lists(_CELLS, min_size=size, max_size=size)) for name in names}
    labels = resolve_frame(table)
    assert len(labels) == (size if names else 0)
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in table.items()})
    assert _grouped(resolve_frame(frame)) == _grouped(labels)


def test_what_tells_nobody_joins_nobody() -> None:
    for names in (["Jr"], ["Jr", "Jr"], ["Jr", None, "III"]):
        labels = resolve_frame({"first_name": [None] * len(names), "surname": names})
        assert len(set(labels)) == len(names)


@pytest.mark.parametrize("kind", ["western", "short-few-birthdays", "hospitality", "chinese"])
def test_the_order_of_rows_decides_nothing(kind: str) -> None:
    told, _ = population(KINDS[kind], rows=1500, seed=77)
    frame = pd.DataFrame(told)
    labels = _grouped(resolve_frame(frame))
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(frame))
        again = resolve_frame(frame.iloc[order])
        assert {frozenset(order[list(g)].tolist()) for g in _grouped(again)} == labels


def test_rows_told_twice_change_nothing() -> None:
    told, _ = population(KINDS["western"], rows=1200, seed=78)
    frame = pd.DataFrame(told)
    once = _grouped(resolve_frame(frame))
    twice = _grouped(resolve_frame(pd.concat([frame, frame])))
    size = len(frame)
    assert {frozenset(row for row in g if row < size) for g in twice} - {frozenset()} == once


@pytest.mark.parametrize("noise", ["typing", "copying"])
@pytest.mark.parametrize(
    ("kind", "precision", "recall"),
    [("western", 0.998, 0.6), ("hospitality", 0.995, 0.6), ("western-no-families", 0.999, 0.75),
     ("name-address", 0.97, 0.4)],
)  # fmt: skip
def test_people_are_told_apart(kind: str, precision: float, recall: float, noise: str) -> None:
    told, whose = population(replace(KINDS[kind], noise=noise), rows=8000, seed=404)
    judged = judge(resolve_frame(pd.DataFrame(told)), whose)
    assert judged.precision >= precision
    assert judged.recall >= recall
    strict = judge(resolve_frame(pd.DataFrame(told), strict=True), whose)
    assert strict.false <= judged.false
    assert strict.precision >= 0.999


def test_a_categorical_and_columns_of_one_name_are_read() -> None:
    cells = {"first_name": ["Anna", "Anna", None], "phone": ["+48601234876"] * 3}
    frame = pd.DataFrame(cells).astype({"first_name": "category"})
    doubled = pd.concat([frame, frame[["phone"]]], axis=1)
    assert len(resolve_frame(doubled)) == 3
    assert _grouped(resolve_frame(doubled)) == _grouped(resolve_frame(cells))
    names = pa.array(cells["first_name"]).dictionary_encode()
    phones = pa.chunked_array([cells["phone"][:1], cells["phone"][1:]])
    arrow = pa.table({"first_name": names, "phone": phones})
    assert _grouped(resolve_frame(arrow)) == _grouped(resolve_frame(cells))


def test_every_field_can_be_told_alone() -> None:
    for field in Field:
        labels = resolve_frame({"x": ["7", "7", None]}, columns={"x": field.value})
        assert len(labels) == 3
