"""Starts both servers below a directory, says where they are, and waits to be killed."""

import json
import sys
import time
from pathlib import Path

from hub.entrypoints.embedded import postgres, valkey

base = Path(sys.argv[1])
database = postgres.start(base / "postgres")
broker = valkey.start(base / "valkey")
told = {
    "database_url": database.url,
    "redis_url": broker.url,
    "pids": [database.process.pid, broker.process.pid],
}
print(json.dumps(told), flush=True)
time.sleep(600)
