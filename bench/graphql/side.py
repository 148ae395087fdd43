"""What one side of a comparison made of its windows: answers, and what they cost of CPU."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.cpu import spent
from bench.graphql.load import Window, window


@dataclass(slots=True)
class Side:
    """What one side made of its windows."""

    server: str
    """What the CPU of its processes is counted as."""
    windows: list[Window] = field(default_factory=list)
    answers: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    """Of CPU, by part."""

    async def ask(self, ports: Sequence[int], asked: Sequence[bytes], *, seconds: float) -> None:
        """Ask for a window more."""
        before = spent()
        had = await window(ports, asked, seconds=seconds)
        self.seconds.update(spent())
        self.seconds.subtract(before)
        self.windows.append(had)
        self.answers += had.answers

    @property
    def best(self) -> Window:
        """Return the window in which it answered most."""
        return max(self.windows, key=lambda one: one.rate)

    def cpu_ms(self, *parts: str) -> float:
        """Return what an answer took of CPU."""
        return sum(self.seconds[part] for part in parts) / self.answers * 1e3

    def __str__(self) -> str:
        best, median = self.best, statistics.median(one.rate for one in self.windows)
        return (
            f"{best.rate:,.0f}/s, median {median:,.0f} (p50 {best.p50 * 1e3:.1f}, "
            f"p99 {best.p99 * 1e3:.1f} ms; CPU {self.cpu_ms(self.server):.2f} "
            f"+ PostgreSQL {self.cpu_ms('postgres'):.2f} ms)"
        )
