"""Conditions in CEL, the Common Expression Language: the one module that knows its library.

A condition is shown a bill as integers and texts, never as a fraction, and says yes or no. What
a line or bill does not have is an empty text. https://cel.dev
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import cel

from hub.errors import Malformed, Rejected

Fact = int | str | list[str]

LONGEST = 500

# Amounts are minor units of the bill's own currency; weekday 1 is Monday; date and time are those
# of the business's zone, as 2026-10-15 and 18:30, which compare as texts.
SAMPLE: Mapping[str, Fact] = MappingProxyType(
    {
        "line_kind": "item",
        "category": "food",
        "net_minor": 1000,
        "outlet": "main",
        "tier": "gold",
        "currency": "CNY",
        "total_minor": 1060,
        "tender_kinds": ["card", "cash"],
        "weekday": 4,
        "date": "2026-10-15",
        "time": "18:30",
    }
)
_BARE: Mapping[str, Fact] = {
    name: 0 if isinstance(value, int) else [] if isinstance(value, list) else ""
    for name, value in SAMPLE.items()
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; `names` are the facts that it looks at."""

    source: str
    names: frozenset[str]
    program: cel.Program

    def holds(self, facts: Mapping[str, Fact]) -> bool:
        """Say whether the condition holds of `facts`, which have at least what `names` says.

        Raises Rejected when it cannot be evaluated for just these facts.
        """
        try:
            return self._evaluate(facts)
        except Malformed as bad:
            raise Rejected(
                f"{bad.message}: apply a rule version that is effective from a moment after this "
                "one, and replay",
                field="when",
            ) from bad

    def _evaluate(self, facts: Mapping[str, Fact]) -> bool:
        try:
            answer = self.program.execute({name: facts[name] for name in self.names})
        except Exception as bad:  # the library raises whatever Python's own operators would
            raise Malformed(f"`{self.source}` cannot be evaluated: {bad}", field="when") from bad
        if not isinstance(answer, bool):
            raise Malformed(f"`{self.source}` does not say yes or no", field="when")
        return answer


@lru_cache(maxsize=1024)
def condition(source: str) -> Condition:
    """Compile a condition and try it on two samples, one of them bare.

    Raises Malformed, naming `when`, when it does not compile, looks at what no bill has, works
    with floating point, or does not answer yes or no.
    """
    if len(source) > LONGEST:
        raise Malformed(f"a condition has at most {LONGEST} characters", field="when")
    try:
        program = cel.compile(source)
    except ValueError as bad:
        raise Malformed(f"`{source}` is no condition in CEL: {bad}", field="when") from bad
    names = frozenset(program.variables())
    if unknown := names - SAMPLE.keys():
        raise Malformed(
            f"`{source}` asks for {', '.join(sorted(unknown))}; a bill has "
            f"{', '.join(sorted(SAMPLE))}",
            field="when",
        )
    if "double" in program.functions():
        raise Malformed(f"`{source}` works with floating point: compare integers", field="when")
    compiled = Condition(source, names, program)
    for facts in (SAMPLE, _BARE):
        compiled._evaluate(facts)
    return compiled
