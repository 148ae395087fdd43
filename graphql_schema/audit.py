"""Who read whose personal data in full: a row of the audit's chain for each time."""

import structlog

from graphql_schema.context import Context
from hub.audit.chain import Read
from hub.audit.record_reads import record_reads
from hub.crypto.tokens import Principal, Role


def read_in_full(context: Context, caller: Principal, *, member_id: int, attribute: str) -> None:
    """Note that the caller is to be shown a personal field in full; of its own nothing is noted."""
    if caller.role is not Role.MEMBER:
        context.reads.append(
            Read(
                member_id=member_id,
                attribute=attribute,
                subject=caller.subject,
                role=caller.role.value,
                read_at=context.now,
            )
        )


async def record(context: Context) -> None:
    """Append what was noted to the chain and commit: only then may the answer leave."""
    reads = list(dict.fromkeys(context.reads))
    if not reads:
        return
    async with context.writing() as db:
        await record_reads(db, reads=reads, keyring=context.keyring)
    context.reads.clear()
    log = structlog.get_logger(__name__)
    for read in reads:
        log.info(
            "personal_data_read",
            subject=read.subject,
            role=read.role,
            member_id=read.member_id,
            attribute=read.attribute,
        )
