"""Any kind of column as numbers: each distinct cell once, and which of them a row has.

Arrow and pandas do this themselves, a hundred times faster than a loop over the cells; of neither
is anything imported here. What they cannot number, and any other sequence, is gone through.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hub.errors import Malformed

Codes = npt.NDArray[np.int32]
_CANNOT = (TypeError, ValueError, NotImplementedError, AttributeError)


def shape(records: Any) -> tuple[list[object], int]:
    """Return the names of a table's columns and the number of its rows; Malformed for no table."""
    if isinstance(records, Mapping):
        try:
            lengths = {len(column) for column in records.values()}
        except TypeError:
            raise Malformed("a column is no sequence of cells", field="records") from None
        if len(lengths) > 1:
            raise Malformed("the columns have different lengths", field="records")
        return list(records), next(iter(lengths), 0)
    if hasattr(records, "column_names") and hasattr(records, "num_rows"):
        return list(records.column_names), int(records.num_rows)
    if hasattr(records, "columns") and hasattr(records, "iloc"):
        return list(records.columns), len(records)
    raise Malformed(
        "a pandas or Arrow table, or a mapping of names to columns, was expected", field="records"
    )


def column(records: Any, place: int) -> Any:
    """Return the column at a place: names need not be distinct."""
    if isinstance(records, Mapping):
        return list(records.values())[place]
    if hasattr(records, "column_names"):
        return records.column(place)
    return records.iloc[:, place]


def numbered(cells: Any, size: int) -> tuple[Codes, Sequence[Any]]:
    """Return which distinct cell each row has, -1 for none, and the distinct cells."""
    for known in (_by_arrow, _by_pandas):
        try:
            return known(cells)
        except _CANNOT:
            continue
        except Exception as error:  # Arrow's own errors, which cannot be named without it
            if not type(error).__module__.startswith("pyarrow"):
                raise
    listed = cells.to_pylist() if hasattr(cells, "to_pylist") else list(cells)
    numbers: dict[object, int] = {}
    distinct: list[Any] = []
    codes = np.fromiter((_number(cell, numbers, distinct) for cell in listed), np.int32, size)
    return codes, distinct


def _by_arrow(cells: Any) -> tuple[Codes, Sequence[Any]]:
    encoded = cells.dictionary_encode()
    if hasattr(encoded, "combine_chunks"):
        encoded = encoded.unify_dictionaries().combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32), encoded.dictionary.to_pylist()


def _by_pandas(cells: Any) -> tuple[Codes, Sequence[Any]]:
    codes, distinct = cells.factorize()
    return codes.astype(np.int32), list(distinct)


def _number(cell: Any, numbers: dict[object, int], distinct: list[Any]) -> int:
    if cell is None:
        return -1
    # One and True and 1.0 are equal, and not written alike.
    key = cell if isinstance(cell, str) else (type(cell), str(cell))
    code = numbers.setdefault(key, len(distinct))
    if code == len(distinct):
        distinct.append(cell)
    return code
