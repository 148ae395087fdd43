"""The one statement of a plan, as it grows: common table expressions, columns, parameters."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from graphql_schema.plan.declared import Unplanned
from graphql_schema.plan.run import Run
from hub.db.caller import ACT_AS, FACTS, Caller
from hub.db.relation import EACH_MEMBER, Relation, parameters, within

Value = Callable[[Run], Any]

_FACTS: dict[str, tuple[str, Value]] = {
    "now": ("timestamptz", lambda run: run.context.now),
    "own_member_id": ("bigint", lambda run: run.context.caller.member_id),
    "business": ("text", lambda run: run.context.caller.business),
}
# The group's day and year at the request's instant, as hub.clock and hub.benefits.year tell them.
_OF_SETUP: dict[str, tuple[str, Value]] = {
    "today": ("date", lambda run: run.today),
    "starts_on": ("date", lambda run: run.setup.year(run.context.now).starts_on),
    "ends_on": ("date", lambda run: run.setup.year(run.context.now).ends_on),
}


def _told(place: int) -> Value:
    return lambda run: run.caller[place]


class Level:
    """Rows that objects are made of: of which expression, and what is read of them."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.views: int | None = None
        """The answer's column of how the members among them are shown, if that is asked for."""
        self.attributes: set[str] = set()
        """What of them is shown: nothing else is decrypted."""
        self._picked: list[str] = []

    def pick(self, column: str) -> int:
        """Read a column too; returns its place in the row."""
        return self.pick_sql(f"{self.alias}.{column}")

    def pick_sql(self, expression: str) -> int:
        """Read the value of an expression too; returns its place in the row."""
        if expression not in self._picked:
            self._picked.append(expression)
        return self._picked.index(expression)

    @property
    def row(self) -> str:
        """Return what is read, as a row."""
        return f"ROW({', '.join(self._picked) or '1'})"

    @property
    def rows(self) -> str:
        """Return the read of all rows."""
        return f"SELECT {self.row} FROM {self.alias}"  # noqa: S608 - names of ours

    def all(self, column: str) -> str:
        """Return the values of a column, as one array."""
        return f"(SELECT array_agg({self.alias}.{column}) FROM {self.alias})"  # noqa: S608

    def each(self, column: str) -> str:
        """Return the values of a column, each once, as one array."""
        return f"(SELECT array_agg(DISTINCT {self.alias}.{column}) FROM {self.alias})"  # noqa: S608


class Fixed(Level):
    """Rows with these columns, which are there whether they are picked or not."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__("")
        self._picked = list(columns)

    def pick(self, column: str) -> int:
        """Return a column's place; raises Unplanned."""
        return self.pick_sql(column)

    def pick_sql(self, expression: str) -> int:
        """Return a column's place; raises Unplanned for all else."""
        if expression not in self._picked:
            raise Unplanned(f"{expression} is looked for in the database alone")
        return self._picked.index(expression)

    def all(self, column: str) -> str:
        """Raise Unplanned: what belongs to rows that no statement has is not looked for."""
        raise Unplanned(f"nothing is found by {column}")

    def each(self, column: str) -> str:
        """Raise Unplanned, as `all` does."""
        return self.all(column)


class Statement:
    """A SELECT of one row. Its first column says whether all is as the plan takes it to be.

    Who reads, where more than a role tells it, is said there too, before anything else is asked:
    what a SELECT answers with is found from left to right, and policies look it up when they are
    asked for a row. Were that not so, no rows would be seen.
    """

    def __init__(self, reader: Caller) -> None:
        self._tables: list[Callable[[], str]] = []
        self._columns: list[Callable[[], str]] = []
        self._values: list[Value] = []
        self._named: dict[str, str] = {}
        self._guards: dict[str, None] = {}
        self._few: dict[str, str] = {}
        self.needs_setup = False
        """Whether it builds on how the programme is set up."""
        if reader.named:
            facts = [self.parameter(one, _told(n)) for n, one in enumerate(FACTS)]
            self._guards[ACT_AS.format(*facts)] = None

    def parameter(self, sql_type: str, value: Value) -> str:
        """Return the placeholder of a value that differs from request to request."""
        self._values.append(value)
        return f"${len(self._values)}::{sql_type}"

    def guard(self, condition: str, facts: Mapping[str, str] = MappingProxyType({})) -> None:
        """Leave the operation to the resolvers where a condition does not hold."""
        self._guards[self._within(condition, facts)] = None

    def table(
        self,
        relation: Relation,
        facts: Mapping[str, str],
        *,
        where: str | None = None,
    ) -> Level:
        """Put a relation into the statement; `facts` are SQL for those parameters it has alone."""
        level = Level(f"r{len(self._tables) + 1}")

        def table() -> str:
            body, few = relation.sql, self._few.get(facts.get("member_ids", ""))
            if few is not None:
                body = (relation.few or body).replace(EACH_MEMBER, few)
            if where is not None:
                body = f"SELECT r.* FROM ({body}) r WHERE {where}"  # noqa: S608 - constants of ours
            return f"{level.alias} AS ({self._within(body, facts)})"

        self._tables.append(table)
        return level

    def few(self, level: Level) -> None:
        """Join what belongs to the members of a level to its rows: they are a handful at most.

        Of how many rows a page has the planner has no idea. It takes an array for ten rows.
        """
        one = f"SELECT {level.alias}.member_id FROM {level.alias}"  # noqa: S608 - names of ours
        self._few[level.all("member_id")] = f"({one})"

    def _within(self, sql: str, facts: Mapping[str, str]) -> str:
        """Put SQL in the place of parameters; that of `facts` may have parameters of its own."""
        while names := parameters(sql):
            known = {name: facts[name] if name in facts else self.fact(name) for name in names}
            sql = within(sql, known.__getitem__)
        return sql

    def column(self, level: Level) -> int:
        """Answer with the rows of a level; returns the column's place."""
        self._columns.append(lambda: f"ARRAY({level.rows})")
        return len(self._columns)

    def fact(self, name: str) -> str:
        """Return the SQL for what any statement may ask: the moment, the day, the caller."""
        if name not in self._named:
            self._named[name] = self._fact(name)
        return self._named[name]

    def _fact(self, name: str) -> str:
        if name in _OF_SETUP:
            self.need_setup()
            return self.parameter(*_OF_SETUP[name])
        if name == "own_business_id":
            own = f"SELECT o.business_id FROM business o WHERE o.code = {self.fact('business')}"  # noqa: S608
            self.guard(f"EXISTS ({own})")
            return f"({own})"
        return self.parameter(*_FACTS[name])

    def need_setup(self) -> None:
        """Leave the operation to the resolvers where the set-up is not as it is remembered."""
        if not self.needs_setup:
            self.needs_setup = True
            mine = self.parameter("uuid", lambda run: run.setup.edition)
            self.guard(f"{mine} = (SELECT edition FROM setup_edition)")  # noqa: S608 - a placeholder

    @property
    def values(self) -> tuple[Value, ...]:
        """Return what gives the parameters' values, in order."""
        return tuple(self._values)

    @property
    def sql(self) -> str:
        """Return the whole statement."""
        tables = [one() for one in self._tables]
        begins = f"WITH {', '.join(tables)} " if tables else ""
        guards = " AND ".join(f"({one})" for one in self._guards) or "true"
        return f"{begins}SELECT {', '.join([guards, *(one() for one in self._columns)])}"
