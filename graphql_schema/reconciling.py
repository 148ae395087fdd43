"""Reconciling: runs are asked for, suggestions decided, breaks accounted for.

A business acts on its own books of lines, finance on all; bank statements are finance's alone. A
business asks for a write-off, to which finance agrees.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CLOSERS, RECONCILERS, only_business, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.reconciliation import (
    ReconciliationBreak,
    ReconciliationMatch,
    ReconciliationRun,
)
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from hub import errors
from hub.crypto.tokens import Principal, Role
from hub.reconciliation.adjust_break import adjust_break
from hub.reconciliation.ask_run import ask_run
from hub.reconciliation.breaks import Break, break_by_id
from hub.reconciliation.codes import Leg
from hub.reconciliation.codes import Role as Book
from hub.reconciliation.confirm_match import confirm_match
from hub.reconciliation.investigate_break import investigate_break
from hub.reconciliation.match_break import match_break
from hub.reconciliation.matches import Match, match_by_id
from hub.reconciliation.reject_match import reject_match
from hub.reconciliation.reopen_break import reopen_break
from hub.reconciliation.resolve_break import resolve_break
from hub.reconciliation.save_mapping import mapping
from hub.reconciliation.write_off_break import write_off_break

_REASON = "Why; it is kept."
_UNKNOWN = "there is no such thing in the books of this business"


@strawberry.input(description="A book to be laid beside the hub's lines of some days.")
class ReconcileInput:
    """A request for a run."""

    mapping: str = strawberry.field(description="The code of the book's mapping.")
    from_: date = strawberry.field(name="from", description="The first business date.")
    to: date = strawberry.field(description="The last business date.")


@strawberry.input(description="A suggestion that is right.")
class ConfirmMatchInput:
    """A decision."""

    match: strawberry.ID = strawberry.field(description="The match's number.")


@strawberry.input(description="A match or suggestion that is wrong.")
class RejectMatchInput:
    """A decision."""

    match: strawberry.ID = strawberry.field(description="The match's number.")
    reason: str = strawberry.field(description=_REASON)


@strawberry.input(description="A break that somebody takes on.")
class InvestigateBreakInput:
    """A step."""

    break_: strawberry.ID = strawberry.field(name="break", description="The break's number.")
    owner: str | None = strawberry.field(default=None, description="Who, if not the caller.")
    note: str | None = strawberry.field(default=None, description="What to keep with it.")


@strawberry.input(description="A break, and why something is done with it.")
class BreakInput:
    """A step."""

    break_: strawberry.ID = strawberry.field(name="break", description="The break's number.")
    reason: str = strawberry.field(description=_REASON)


@strawberry.input(description="A break that was accounted for.")
class ResolveBreakInput:
    """A step."""

    break_: strawberry.ID = strawberry.field(name="break", description="The break's number.")
    resolution: str = strawberry.field(description="adjusted or reversed.")
    reason: str = strawberry.field(description=_REASON)


@strawberry.type(description="The run is asked for; a worker takes its steps.")
class ReconciliationAsked:
    """What was asked."""

    run: ReconciliationRun = strawberry.field(description="The run.")


@strawberry.type(description="The match stands as it says.")
class MatchDecided:
    """What became of a match."""

    match: ReconciliationMatch = strawberry.field(description="The match, as it stands now.")


@strawberry.type(description="The break stands as it says.")
class BreakMoved:
    """What became of a break."""

    break_: ReconciliationBreak = strawberry.field(
        name="break", description="The break, as it stands now."
    )


@strawberry.type(description="There is no such mapping, match or break, or none of the caller's.")
class ReconciliationUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The match or the break does not stand so that this could be done.")
class ReconciliationNotReady(Rejection):
    """Nothing was stored."""


ReconcileResult = Annotated[
    ReconciliationAsked | ReconciliationUnknown | InvalidInput | Forbidden,
    strawberry.union("ReconcileResult", description="What came of asking for a run."),
]
MatchResult = Annotated[
    MatchDecided | ReconciliationUnknown | ReconciliationNotReady | InvalidInput | Forbidden,
    strawberry.union("MatchResult", description="What came of deciding a match."),
]
BreakResult = Annotated[
    BreakMoved | ReconciliationUnknown | ReconciliationNotReady | InvalidInput | Forbidden,
    strawberry.union("BreakResult", description="What came of a step with a break."),
]
Refusal = ReconciliationUnknown | ReconciliationNotReady | InvalidInput | Forbidden
REFUSALS = (errors.NotFound, errors.Rejected, errors.Malformed, errors.Forbidden)


@strawberry.type
class ReconcilingMutation:
    """How finance, and each business, reconcile."""

    @resolved("Have a worker lay a book beside the hub's lines; again changes nothing. For "
              "finance, and for the business whose book it is.")  # fmt: skip
    async def reconcile(
        self,
        info: Info,
        input: Given[ReconcileInput],  # noqa: A002
    ) -> ReconcileResult:
        """Ask and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *RECONCILERS)
            own = await context.own_business_id()
            async with context.writing() as db:
                saved = await mapping(db, input.mapping)
                _refuse_others(own, saved.business_id, bank=saved.role is Book.BANK)
                run = await ask_run(
                    db,
                    mapping=saved,
                    from_date=input.from_,
                    to_date=input.to,
                    actor=caller.subject,
                    now=context.now,
                )
        except (errors.NotFound, errors.Malformed, errors.Forbidden) as no:
            refusal = _refusal(context, no)
            if isinstance(refusal, ReconciliationNotReady):
                raise
            return refusal
        return ReconciliationAsked(run=ReconciliationRun.of(run))

    @resolved("Say that the rows of a suggestion belong together; to confirm twice is to confirm "
              "once. For finance, and for the business whose book it is.")  # fmt: skip
    async def confirm_match(
        self,
        info: Info,
        input: Given[ConfirmMatchInput],  # noqa: A002
    ) -> MatchResult:
        """Confirm and commit, or answer why not."""
        return await _decided(
            info.context,
            input.match,
            lambda db, number, actor: confirm_match(
                db, match_id=number, actor=actor, now=info.context.now
            ),
        )

    @resolved("Say that rows do not belong together: a match is undone, and no rule joins them "
              "again. For finance, and for the business whose book it is.")  # fmt: skip
    async def reject_match(
        self,
        info: Info,
        input: Given[RejectMatchInput],  # noqa: A002
    ) -> MatchResult:
        """Reject and commit, or answer why not."""
        return await _decided(
            info.context,
            input.match,
            lambda db, number, actor: reject_match(
                db, match_id=number, reason=input.reason, actor=actor, now=info.context.now
            ),
        )

    @resolved("Take a break on, or give it to somebody. For finance, and for the business whose "
              "book it is.")  # fmt: skip
    async def investigate_break(
        self,
        info: Info,
        input: Given[InvestigateBreakInput],  # noqa: A002
    ) -> BreakResult:
        """Assign and commit, or answer why not."""
        return await _moved(
            info.context,
            input.break_,
            lambda db, number, caller: investigate_break(
                db,
                break_id=number,
                owner=input.owner or caller.subject,
                note=input.note,
                actor=caller.subject,
                now=info.context.now,
            ),
        )

    @resolved("Say that all rows of a break belong together, within the book's tolerance. For "
              "finance, and for the business whose book it is.")  # fmt: skip
    async def match_break(
        self,
        info: Info,
        input: Given[BreakInput],  # noqa: A002
    ) -> BreakResult:
        """Match by hand and commit, or answer why not."""
        return await _moved(
            info.context,
            input.break_,
            lambda db, number, caller: match_break(
                db,
                break_id=number,
                reason=input.reason,
                actor=caller.subject,
                now=info.context.now,
            ),
        )

    @resolved("Propose that what the book says more is owed: a correction, which somebody else "
              "approves. For finance, and for the business whose book it is.")  # fmt: skip
    async def adjust_break(
        self,
        info: Info,
        input: Given[BreakInput],  # noqa: A002
    ) -> BreakResult:
        """Propose and commit, or answer why not."""
        return await _moved(
            info.context,
            input.break_,
            lambda db, number, caller: adjust_break(
                db,
                break_id=number,
                reason=input.reason,
                actor=caller.subject,
                now=info.context.now,
            ),
        )

    @resolved("Ask for a break to be written off, or agree as a second person of finance. For "
              "finance; the business whose book it is may ask.")  # fmt: skip
    async def write_off_break(
        self,
        info: Info,
        input: Given[BreakInput],  # noqa: A002
    ) -> BreakResult:
        """Ask or agree and commit, or answer why not."""
        return await _moved(
            info.context,
            input.break_,
            lambda db, number, caller: write_off_break(
                db,
                break_id=number,
                reason=input.reason,
                actor=caller.subject,
                now=info.context.now,
                may_agree=caller.role in CLOSERS,
            ),
        )

    @resolved("Close a break as adjusted (its correction is approved) or reversed. For finance.")
    async def resolve_break(
        self,
        info: Info,
        input: Given[ResolveBreakInput],  # noqa: A002
    ) -> BreakResult:
        """Resolve and commit, or answer why not."""
        return await _moved(
            info.context,
            input.break_,
            lambda db, number, caller: resolve_break(
                db,
                break_id=number,
                resolution=input.resolution,
                reason=input.reason,
                actor=caller.subject,
                now=info.context.now,
            ),
            roles=CLOSERS,
        )

    @resolved("Open a break again that was written off, or resolved by a person. For finance.")
    async def reopen_break(
        self,
        info: Info,
        input: Given[BreakInput],  # noqa: A002
    ) -> BreakResult:
        """Reopen and commit, or answer why not."""
        return await _moved(
            info.context,
            input.break_,
            lambda db, number, caller: reopen_break(
                db,
                break_id=number,
                reason=input.reason,
                actor=caller.subject,
                now=info.context.now,
            ),
            roles=CLOSERS,
        )


async def _decided(
    context: Context,
    asked: strawberry.ID,
    step: Callable[[AsyncConnection, int, str], Awaitable[Match]],
) -> MatchResult:
    try:
        caller = require(context.principal, *RECONCILERS)
        own = await context.own_business_id()
        number = _number(asked, "match")
        async with context.writing() as db:
            before = await match_by_id(db, number)
            bank = before.leg in (Leg.RECEIVED, Leg.PAID)
            _refuse_others(own, before.business_id, bank=bank)
            match = await step(db, number, caller.subject)
    except REFUSALS as no:
        return _refusal(context, no)
    return MatchDecided(match=ReconciliationMatch.of(match))


async def _moved(
    context: Context,
    asked: strawberry.ID,
    step: Callable[[AsyncConnection, int, Principal], Awaitable[object]],
    roles: tuple[Role, ...] = RECONCILERS,
) -> BreakResult:
    try:
        caller = require(context.principal, *roles)
        own = await context.own_business_id()
        number = _number(asked, "break")
        async with context.writing() as db:
            before = await break_by_id(db, number)
            _refuse_others(own, before.business_id, bank=before.role == Book.BANK)
            await step(db, number, caller)
            moved: Break = await break_by_id(db, number)
    except REFUSALS as no:
        return _refusal(context, no)
    return BreakMoved(break_=ReconciliationBreak.of(moved))


def _refuse_others(own: int | None, business_id: int, *, bank: bool) -> None:
    """Raise NotFound for another business's book, Forbidden for a bank's statement."""
    if own not in (None, business_id):
        raise errors.NotFound(_UNKNOWN)
    if own is not None and bank:
        raise errors.Forbidden("bank statements are matched by finance")


def _number(said: strawberry.ID, field: str) -> int:
    if not (said.isascii() and said.isdigit() and len(said) <= len(str(2**62))):
        raise errors.Malformed(f"a {field} is named by its number", field=field)
    return int(said)


def _refusal(context: Context, no: errors.HubError) -> Refusal:
    if isinstance(no, errors.NotFound):
        # A business is not told whether another has what it asked for.
        hidden = only_business(context.caller) is not None
        return ReconciliationUnknown(message=_UNKNOWN if hidden else no.message)
    if isinstance(no, errors.Rejected):
        return ReconciliationNotReady(message=no.message)
    if isinstance(no, errors.Malformed | errors.Forbidden):
        return unfit(no)
    raise no
