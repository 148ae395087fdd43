"""Send a code to sign in again: it did not arrive. It stays the same code."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.callers.request_code import CodeRequested
from hub.callers.sign_in import asked_for
from hub.errors import RateLimited, Rejected
from hub.members.one_time_codes import SEND
from hub.outbox.messages import put

MOST_RESENDS = 2
APART = timedelta(seconds=30)

_AGAIN = text("""
UPDATE verification SET resends = resends + 1, sent_at = NULL,
  resent_as = nextval('verification_verification_id_seq')
WHERE verification_id = :id""")


async def send_code_again(db: AsyncConnection, *, challenge: str, now: datetime) -> CodeRequested:
    """Have the code of a challenge sent once more; its time and attempts stay as they are.

    Only who asked has the challenge. For what is nobody's the same is done, but for the sending.
    A code that is still on its way is told to wait for. Raises RateLimited with the seconds to
    wait, Rejected once the code has ended or was sent three times.
    """
    row = await asked_for(db, challenge)
    if row is None or row.state != "open" or now >= row.expires_at or row.resends >= MOST_RESENDS:
        raise Rejected("this code is not sent again: ask for a new one", field="challenge")
    room_at = row.requested_at + APART * (row.resends + 1)
    if now < room_at:
        seconds = max(1, int((room_at - now).total_seconds()))
        raise RateLimited(
            f"the code is on its way: it can be sent again in {seconds} seconds",
            seconds=seconds,
            field="challenge",
        )
    await db.execute(_AGAIN, {"id": row.verification_id})
    await put(db, actor=SEND, references=[row.verification_id], available_at=now)
    return CodeRequested(challenge, row.expires_at)
