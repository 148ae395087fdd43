"""`python -m connectors.sandbox`: serve the sandbox."""

import argparse
from datetime import date

import uvicorn

from connectors.sandbox.app import create_app
from connectors.sandbox.second.world import SIZE
from connectors.sandbox.stage import ZONE
from hub.clock import now


def main() -> None:
    """Read the command line and serve until stopped."""
    parser = argparse.ArgumentParser(prog="connectors.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--today", type=date.fromisoformat, help="the story ends the day before")
    parser.add_argument("--size", type=int, default=SIZE, help="bills of the second world")
    given = parser.parse_args()
    today = given.today or now().astimezone(ZONE).date()
    app = create_app(given.seed, today, size=given.size)
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
