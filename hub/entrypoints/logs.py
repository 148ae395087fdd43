"""One line of JSON per event. Bodies, tokens and names of people are never logged."""

import logging

import structlog


def configure_logs(level: str) -> None:
    """Send structlog's events to standard output at `level` (debug, info, warning, error)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(number, logging.WARNING))
    # Its every request would be a line of ours, with the upstream's address.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=True,
    )
