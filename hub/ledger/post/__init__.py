"""The posting gate: the only place that changes a balance.

Each function is one statement to the database and posts all of it or nothing. Idempotency is the
header's primary key, `(business_id, idempotency_key)`: a request that was posted before posts
nothing and is answered from the stored header.
"""

from hub.ledger.post.answer import Answer, answered
from hub.ledger.post.earn import EarnRequest, post_earns
from hub.ledger.post.expire import (
    Swept,
    post_activation,
    post_check_out,
    post_expiry,
    post_forfeiture,
    post_more_time,
)
from hub.ledger.post.lock import lock_balances
from hub.ledger.post.mend import post_adjustment, post_extension, post_recovery, post_reinstatement
from hub.ledger.post.merge import post_merge
from hub.ledger.post.move import post_move
from hub.ledger.post.opening import Opened, OpeningRequest, post_openings
from hub.ledger.post.part import HeldAcross, post_part
from hub.ledger.post.spend import (
    RedeemRequest,
    post_end_of_hold,
    post_hold,
    post_redeem,
    post_redeem_at_till,
    post_redeems,
)
from hub.ledger.post.undo import post_clawback, post_restore

__all__ = [
    "Answer",
    "EarnRequest",
    "HeldAcross",
    "Opened",
    "OpeningRequest",
    "RedeemRequest",
    "Swept",
    "answered",
    "lock_balances",
    "post_activation",
    "post_adjustment",
    "post_check_out",
    "post_clawback",
    "post_earns",
    "post_end_of_hold",
    "post_expiry",
    "post_extension",
    "post_forfeiture",
    "post_hold",
    "post_merge",
    "post_more_time",
    "post_move",
    "post_openings",
    "post_part",
    "post_recovery",
    "post_redeem",
    "post_redeem_at_till",
    "post_redeems",
    "post_reinstatement",
    "post_restore",
]
