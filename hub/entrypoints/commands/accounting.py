"""`hub accounting …`: what is owed for points, from the policy to the roll-forward."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.ageing import Aged
from hub.accounting.ageing import ageing as aged
from hub.accounting.allocations import allocations
from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.estimates import Estimate
from hub.accounting.estimates import estimates as known_estimates
from hub.accounting.movements import Allocation, RollForward
from hub.accounting.policies import AccountingPolicy
from hub.accounting.propose_estimate import propose_estimate
from hub.accounting.propose_from_history import propose_from_history
from hub.accounting.recognise import recognise as recognise_period
from hub.accounting.recognition import decimal, expected_points
from hub.accounting.reject_estimate import reject_estimate
from hub.accounting.roll_forward import roll_forward
from hub.accounting.sensitivity import Sensitivity
from hub.accounting.sensitivity import sensitivity as sensitive
from hub.accounting.set_policy import set_policy
from hub.accounting.standing import Standing, standing
from hub.accounting.state_opening import state_opening
from hub.clock import business_date, now
from hub.entrypoints.commands.edge import committed, only_read
from hub.errors import Malformed
from hub.programme.queries import business_by_code, businesses, programme
from hub.settlement.queries import period_by_code
from hub.units import Money

Code = Annotated[str, typer.Argument(help="a month or a day: 2026-11, 2026-11-03")]
Issuer = Annotated[str, typer.Argument(help="the code of the business that issues the points")]
Who = Annotated[str, typer.Option("--as", help="who does it; it is kept")]
Since = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="from which day on")]
Reason = Annotated[str, typer.Option(help="why; it is kept")]


def policy(
    issuer: Issuer,
    *,
    who: Who,
    since: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m"], help="from which month's points on")
    ],
    value: Annotated[str, typer.Option(help="what a redeemed point is worth: 0.01")],
    role: Annotated[
        str, typer.Option(help="in what others supply for points: principal or agent")
    ] = "principal",
    goods_discount: Annotated[
        str, typer.Option(help="how far below their own price goods are sold: 0.1")
    ] = "0",
    least_share: Annotated[
        str,
        typer.Option(help="what part of the price makes points a material right: 0.005"),
    ] = "0",
    portfolio: Annotated[
        str, typer.Option(help="recognise points by month, or all together: month or all")
    ] = "month",
) -> None:
    """Say how an issuer's points are accounted for."""

    async def work(db: AsyncConnection) -> AccountingPolicy:
        found = await business_by_code(db, issuer)
        return await set_policy(
            db,
            issuer_id=found.business_id,
            effective_from=since.date(),
            point_value=_decimal(value, "value"),
            role=role,
            goods_discount=_decimal(goods_discount, "goods_discount"),
            least_share=_decimal(least_share, "least_share"),
            portfolio=portfolio,
            actor=who,
            now=now(),
        )

    made = committed(work)
    typer.echo(
        f"points of {issuer} from {made.effective_from:%Y-%m} on are worth {made.point_value}, "
        f"and {issuer} is {made.role}"
    )


def opening(
    issuer: Issuer,
    amount: Annotated[str, typer.Argument(help="what the books say is owed: 396.00")],
    who: Who,
    reason: Reason,
) -> None:
    """State what an issuer owes for the points that it brings."""

    async def work(db: AsyncConnection) -> Decimal:
        found = await business_by_code(db, issuer)
        return await state_opening(
            db,
            issuer_id=found.business_id,
            amount=amount,
            actor=who,
            reason=reason,
            now=now(),
        )

    typer.echo(f"{issuer} brings a liability of {committed(work)}")


def propose(
    issuer: Issuer,
    *,
    who: Who,
    since: Since,
    rate: Annotated[
        str | None, typer.Option(help="how much will be redeemed: 0.8; unsaid: from history")
    ] = None,
    cohort: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m"], help="only of the points earned in this month"),
    ] = None,
    reason: Annotated[str, typer.Option(help="why; it is kept")] = "stated",
) -> None:
    """Propose how many of the points will be redeemed; somebody else approves."""

    async def work(db: AsyncConnection) -> list[Estimate]:
        found = await business_by_code(db, issuer)
        if rate is None:
            return await propose_from_history(
                db,
                issuer_id=found.business_id,
                effective_from=since.date(),
                maker=who,
                now=now(),
            )
        return [
            await propose_estimate(
                db,
                issuer_id=found.business_id,
                rate=_decimal(rate, "rate"),
                effective_from=since.date(),
                cohort=None if cohort is None else cohort.date(),
                maker=who,
                reason=reason,
                now=now(),
            )
        ]

    if rate is None and cohort is not None:
        raise Malformed("history proposes for every cohort: say a --rate for one", field="cohort")
    _show_estimates(committed(work), {})


def approve(estimate: Annotated[int, typer.Argument(help="its number")], who: Who) -> None:
    """Let an estimate be in force; not for who proposed it."""

    async def work(db: AsyncConnection) -> Estimate:
        return await approve_estimate(db, estimate_id=estimate, checker=who, now=now())

    made = committed(work)
    typer.echo(f"estimate {estimate}: {made.rate} from {made.effective_from} on")


def reject(
    estimate: Annotated[int, typer.Argument(help="its number")], who: Who, reason: Reason
) -> None:
    """End an estimate without effect."""

    async def work(db: AsyncConnection) -> Estimate:
        return await reject_estimate(
            db, estimate_id=estimate, checker=who, verdict=reason, now=now()
        )

    typer.echo(f"estimate {estimate} is {committed(work).state}")


def estimates(
    issuer: Annotated[str | None, typer.Option(help="only those of this business")] = None,
) -> None:
    """List how many points are expected to be redeemed, and what waits to be approved."""

    async def work(db: AsyncConnection) -> tuple[list[Estimate], dict[int, str]]:
        ids = None if issuer is None else [(await business_by_code(db, issuer)).business_id]
        return await known_estimates(db, issuer_ids=ids), await _codes(db)

    _show_estimates(*only_read(work))


def recognise(period: Code, who: Who) -> None:
    """Write down what a closed period makes of every liability; it stands."""

    async def work(
        db: AsyncConnection,
    ) -> tuple[list[RollForward], list[Allocation], dict[int, str]]:
        found = await period_by_code(db, period)
        rolls = await recognise_period(db, period_id=found.period_id, actor=who, now=now())
        return rolls, await allocations(db, period_id=found.period_id), await _codes(db)

    _show_rolls(period, *committed(work))


def show(period: Code) -> None:
    """Show a closed period's roll-forwards: as recognised, or as they would be."""

    async def work(
        db: AsyncConnection,
    ) -> tuple[list[RollForward], list[Allocation], dict[int, str]]:
        found = await period_by_code(db, period)
        rolls = await roll_forward(db, period_id=found.period_id)
        return rolls, await allocations(db, period_id=found.period_id), await _codes(db)

    _show_rolls(period, *only_read(work))


def cohorts(period: Code) -> None:
    """Show what a closed period's liabilities are made of, by month of the points; exactly."""

    async def work(db: AsyncConnection) -> tuple[Standing, dict[int, str]]:
        found = await period_by_code(db, period)
        return await standing(db, period_id=found.period_id), await _codes(db)

    found, codes = only_read(work)
    state = "recognised" if found.recognised else "not recognised yet"
    columns = ("issued", "redeemed", "left", "rate", "still expected", "paid for", "owed")
    table = Table("issuer", "points of", "", *columns, title=f"{period}: {state}")
    for one in found.closing:
        expected = decimal(expected_points(one))
        points = (f"{n:,}" for n in (one.issued, one.redeemed, one.outstanding))
        exact = (f"{n.normalize():,f}" for n in (one.rate, expected, one.allocated, one.liability))
        month = f"{one.cohort:%Y-%m}"
        table.add_row(codes[one.issuer_id], month, one.currency, *points, *exact)
    Console().print(table)


def sensitivity(
    period: Code,
    by: Annotated[str, typer.Option(help="by how much the estimates may be off")] = "0.05",
) -> None:
    """Show what would be owed if fewer or more points were redeemed than expected."""

    async def work(db: AsyncConnection) -> tuple[list[Sensitivity], dict[int, str]]:
        found = await period_by_code(db, period)
        told = await sensitive(db, period_id=found.period_id, by=_decimal(by, "by"))
        return told, await _codes(db)

    told, codes = only_read(work)
    table = Table("owner", "", f"−{by}", "owed", f"+{by}", title=f"Period {period}")
    for one in told:
        amounts = (f"{amount:,.2f}" for amount in (one.if_fewer, one.liability, one.if_more))
        table.add_row(codes[one.owner_id], one.currency, *amounts)
    Console().print(table)


def ageing() -> None:
    """Show in how many months the points that members have end, and what is owed for them."""

    async def work(db: AsyncConnection) -> tuple[list[Aged], dict[int, str]]:
        today = business_date(now(), (await programme(db)).time_zone)
        return await aged(db, on=today), await _codes(db)

    found, codes = only_read(work)
    table = Table("issuer", "end within months", "points", "owed")
    for one in found:
        within = {None: "never", 0: "later"}.get(one.within_months, str(one.within_months))
        owed = "not recognised yet" if one.amount is None else f"{one.amount:,.2f}"
        table.add_row(codes[one.issuer_id], within, f"{one.points:,}", owed)
    Console().print(table)


def _decimal(said: str, field: str) -> Decimal:
    try:
        return Decimal(said)
    except InvalidOperation:
        raise Malformed(f"{said!r} is not a decimal number", field=field) from None


async def _codes(db: AsyncConnection) -> dict[int, str]:
    return {b.business_id: b.code for b in await businesses(db)}


def _show_estimates(found: list[Estimate], codes: dict[int, str]) -> None:
    table = Table("no.", "issuer", "points of", "from", "rate", "95% within", "by", "state")
    for one in found:
        within = "" if one.low is None or one.high is None else f"{one.low} – {one.high}"
        table.add_row(
            str(one.estimate_id),
            codes.get(one.issuer_id, ""),
            "every month" if one.cohort is None else f"{one.cohort:%Y-%m}",
            str(one.effective_from),
            str(one.rate.normalize()),
            within,
            one.maker if one.checker is None else f"{one.maker}, {one.checker}",
            one.state,
        )
    Console().print(table)


def _show_rolls(
    period: str, rolls: list[RollForward], shares: list[Allocation], codes: dict[int, str]
) -> None:
    console = Console()
    for roll in rolls:
        state = "recognised" if roll.recognised else "not recognised yet"
        table = Table("", "points", roll.currency, "of partners")
        table.title = f"{codes[roll.owner_id]}, {period}: {state}"
        for line in roll.movements:
            partner = Money(line.partner_minor, roll.currency) if line.partner_points else ""
            amount = Money(line.minor, roll.currency)
            table.add_row(
                line.kind.replace("_", " "), f"{line.points:,}", str(amount), str(partner)
            )
        proof = Money(roll.proof.minor, roll.currency)
        table.add_row("proof: expected", f"{roll.proof.expected_points:,.2f}", str(proof), "")
        console.print(table)
    if shares:
        table = Table("issuer", "sold", "to goods", "to points", "refunded", "off points", "owner")
        for share in shares:
            amounts = (
                str(Money(minor, share.currency))
                for minor in (
                    share.price_minor,
                    share.price_minor - share.to_points_minor,
                    share.to_points_minor,
                    share.refunded_minor,
                    share.refunded_to_points_minor,
                )
            )
            owner = f"{codes[share.owner_id]}, {share.role}"
            table.add_row(codes[share.issuer_id], *amounts, owner)
        console.print(table)
