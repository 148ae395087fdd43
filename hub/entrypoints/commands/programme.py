"""`hub programme apply FILE`: make the group what a TOML file says."""

import asyncio
import os
import tomllib
from pathlib import Path
from typing import Any

import typer
from pydantic import ConfigDict, ValidationError

from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.occasions.configure import OccasionConfig, configure_occasions
from hub.benefits.referrals.configure import ReferralConfig, configure_referrals
from hub.benefits.rewards.configure import RewardConfig, configure_rewards
from hub.benefits.tiers.configure import LadderConfig, TierConfig
from hub.benefits.vouchers.configure import CampaignConfig, configure_campaigns
from hub.config import load_settings
from hub.connector import field_path
from hub.crypto.keyring import Keyring, load
from hub.db.engine import make_engine
from hub.egress.subscribe import SubscriptionConfig, subscribe
from hub.errors import Malformed
from hub.intake.connections import ConnectionConfig, connect
from hub.programme.apply import ProgrammeConfig
from hub.programme.apply import apply as apply_programme
from hub.settlement.accounts import ClearingAccountConfig, PaymentAccountConfig
from hub.settlement.calendars import CalendarConfig, keep_calendar
from hub.settlement.open_account import open_account, pay_through


class GroupFile(ProgrammeConfig):
    """A whole group in one file: programme, tiers, benefits, connections, accounts ….

    A text that begins with `env:` stands for the variable it names, so that the file holds no
    secret.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ladders: tuple[LadderConfig, ...] = ()
    tiers: tuple[TierConfig, ...] = ()
    benefits: tuple[BenefitConfig, ...] = ()
    membership_plans: tuple[PlanConfig, ...] = ()
    voucher_campaigns: tuple[CampaignConfig, ...] = ()
    occasions: tuple[OccasionConfig, ...] = ()
    rewards: tuple[RewardConfig, ...] = ()
    referrals: tuple[ReferralConfig, ...] = ()
    connections: tuple[ConnectionConfig, ...] = ()
    subscriptions: tuple[SubscriptionConfig, ...] = ()
    payment_accounts: tuple[PaymentAccountConfig, ...] = ()
    clearing_accounts: tuple[ClearingAccountConfig, ...] = ()
    settlement_calendars: tuple[CalendarConfig, ...] = ()


def read_group(path: Path, **variables: str) -> GroupFile:
    """Read a group file; raises Malformed naming the field that is wrong or unset.

    `variables` are looked up before the environment.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as bad:
        raise Malformed(f"{path} cannot be read: {bad}", field="file") from bad
    try:
        return GroupFile.model_validate(_resolve(raw, {**os.environ, **variables}, "file"))
    except ValidationError as bad:
        first = bad.errors(include_url=False)[0]
        raise Malformed(first["msg"], field=field_path(first["loc"])) from bad


def _resolve(value: Any, variables: dict[str, str], place: str) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, variables, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, variables, f"{place}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, str) and value.startswith("env:"):
        name = value.removeprefix("env:")
        if name not in variables:
            raise Malformed(f"the variable {name} is not set", field=place)
        return variables[name]
    return value


async def apply_group(database_url: str, keyring: Keyring, group: GroupFile) -> None:
    """Apply `group` in one transaction: all of it or nothing."""
    engine = make_engine(database_url, pool_size=1)
    try:
        async with engine.begin() as db:
            fields = set(ProgrammeConfig.model_fields)
            await apply_programme(
                db, config=ProgrammeConfig.model_validate(group.model_dump(include=fields))
            )
            await configure(db, ladders=group.ladders, tiers=group.tiers, benefits=group.benefits)
            await configure_plans(db, plans=group.membership_plans)
            await configure_campaigns(db, campaigns=group.voucher_campaigns)
            await configure_occasions(db, occasions=group.occasions)
            await configure_rewards(db, rewards=group.rewards)
            await configure_referrals(db, referrals=group.referrals, keyring=keyring)
            for connection in group.connections:
                await connect(db, config=connection, keyring=keyring)
            for subscription in group.subscriptions:
                await subscribe(db, config=subscription, keyring=keyring)
            for account in group.payment_accounts:
                await open_account(db, config=account, keyring=keyring)
            for clearing in group.clearing_accounts:
                await pay_through(db, config=clearing)
            for calendar in group.settlement_calendars:
                await keep_calendar(db, config=calendar)
    finally:
        await engine.dispose()


def apply(file: Path) -> None:
    """Make the group what FILE says. What is in force is never edited: date a change instead."""
    settings = load_settings()
    group = read_group(file)
    asyncio.run(apply_group(settings.require_database_url(), load(settings.keyring_path), group))
    typer.echo(
        f"{group.group.name}: {len(group.businesses)} businesses, "
        f"{len(group.agreements)} agreements, {len(group.connections)} connections"
    )
