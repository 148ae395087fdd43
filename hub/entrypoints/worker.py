"""What `dramatiq hub.entrypoints.worker` runs: the broker, and every actor."""

import asyncio
from typing import Any

import uvloop
from dramatiq import Middleware
from dramatiq.asyncio import get_event_loop_thread

from hub.config import settings
from hub.entrypoints.collecting import spare_the_collector
from hub.entrypoints.embedded.process import die_with_parent
from hub.entrypoints.logs import configure_logs
from hub.jobs.broker import make_broker
from hub.jobs.runtime import close

die_with_parent()
configure_logs(settings().log_level)
# The broker's thread makes its loop by the policy, and has no other way to be told which.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


class _CloseAtTheEnd(Middleware):
    """Closes the process's connections while its event loop still runs."""

    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:
        loop = get_event_loop_thread()
        if loop is not None:
            loop.run_coroutine(close())


broker = make_broker(settings().require_redis_url())
broker.add_middleware(_CloseAtTheEnd())

# Actors register with the broker when they are imported, so that they come after it.
import hub.audit.actors  # noqa: E402
import hub.benefits.actors  # noqa: E402
import hub.benefits.entitlements.actors  # noqa: E402
import hub.benefits.occasions.actors  # noqa: E402
import hub.benefits.referrals.actors  # noqa: E402
import hub.benefits.vouchers.actors  # noqa: E402
import hub.callers.actors  # noqa: E402
import hub.closing.actors  # noqa: E402
import hub.egress.actors  # noqa: E402
import hub.intake.actors  # noqa: E402
import hub.intake.pull_actors  # noqa: E402
import hub.ledger.actors  # noqa: E402
import hub.members.actors  # noqa: E402
import hub.points.actors  # noqa: E402
import hub.reconciliation.actors  # noqa: E402
import hub.settlement.actors  # noqa: E402, F401

spare_the_collector()
