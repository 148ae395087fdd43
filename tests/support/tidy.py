"""The rules of the house that a linter cannot check. Each takes a source and returns complaints.

A complaint is a line number and what is wrong there.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("hub", "connectors", "graphql_schema", "migrations")
Complaint = tuple[int, str]
Rule = Callable[[str], Iterator[Complaint]]

MODULE_LINES, FUNCTION_LINES, TEST_LINES = 400, 70, 600

_CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("func", "now"),
    ("func", "current_timestamp"),
}
_BANNED = {
    "customer_id": "member_id, or external_id for the shop's own record",
    "wallet_balance": "balance",
    "loyalty_points": "points",
    "burn": "redeem",
    "txn": "transaction, or posting",
    "merchant": "business, or acceptor",
}


def sources(*folders: str, suffix: str = ".py") -> list[Path]:
    """Return the files with `suffix` in these folders of the project, relative to its root."""
    found = (path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}"))
    return sorted(path.relative_to(ROOT) for path in found)


def transaction_ends(source: str) -> Iterator[Complaint]:
    """Verbs never commit: only edges begin and end transactions. Savepoints are no commits."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"commit", "begin"}
        ):
            yield node.lineno, f"{node.func.attr}() outside an edge"


def wall_clock_reads(source: str) -> Iterator[Complaint]:
    """Time is passed in; hub.clock alone reads it, and the edges alone ask hub.clock."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else None
            owner = node.value.id if isinstance(node.value, ast.Name) else owner
            if (owner, node.attr) in _CLOCKS:
                yield node.lineno, f"{owner}.{node.attr}: the wall clock is read in hub.clock"


def floats(source: str) -> Iterator[Complaint]:
    """There is no float between a till and a statement: no literal, conversion or annotation.

    Asking whether something is one, in order to refuse it, is welcome.
    """
    tree = ast.parse(source)
    asked = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in asked:
            continue
        if isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno, "float near money"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"the literal {node.value} near money"


def long_functions(source: str) -> Iterator[Complaint]:
    """What does not fit on a page is not understood at a glance."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {lines} lines, more than {FUNCTION_LINES}"


def long_file(limit: int) -> Rule:
    """Return the rule that a file has at most `limit` lines."""

    def rule(source: str) -> Iterator[Complaint]:
        lines = source.count("\n")
        if lines > limit:
            yield lines, f"{lines} lines, more than {limit}"

    return rule


def banned_words(source: str) -> Iterator[Complaint]:
    """One word per thing: the glossary's."""
    for number, line in enumerate(source.splitlines(), start=1):
        for word, instead in _BANNED.items():
            if re.search(rf"(?<![A-Za-z]){word}s?(?![A-Za-z])", line, re.IGNORECASE):
                yield number, f"{word!r}: say {instead}"


def complaints(rule: Rule, files: list[Path]) -> list[str]:
    """Apply a rule to files of the project; return its complaints, each with its place."""
    return [
        f"{file}:{line}: {what}" for file in files for line, what in rule((ROOT / file).read_text())
    ]
