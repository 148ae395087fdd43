"""How well rows were grouped, told by pairs of rows: counted, not drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Judged:
    """Pairs of rows that were said to be one person, how many are not, and how many there are."""

    found: int
    false: int
    true: int

    @property
    def precision(self) -> float:
        """How many of the pairs found are right."""
        return 1.0 if self.found == 0 else 1 - self.false / self.found

    @property
    def recall(self) -> float:
        """How many of the pairs there are were found."""
        return 1.0 if self.true == 0 else (self.found - self.false) / self.true

    def __str__(self) -> str:
        return (
            f"false pairs {self.false:>6}, precision {self.precision:.5f}, "
            f"recall {self.recall:.4f}, pairs {self.found}"
        )


def judge(labels: Any, people: Any) -> Judged:
    """Compare the labels of rows with the people they are of."""
    _, said = np.unique(np.asarray(labels), return_inverse=True)
    _, are = np.unique(np.asarray(people), return_inverse=True)
    both = said.astype(np.int64) * (int(are.max(initial=0)) + 1) + are
    found, true, right = (_pairs(np.unique(x, return_counts=True)[1]) for x in (said, are, both))
    return Judged(found, found - right, true)


def _pairs(counts: Any) -> int:
    return int((counts * (counts - 1) // 2).sum())
