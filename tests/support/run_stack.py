"""Runs a stack of small stand-in processes, as `hub up` runs the hub's own.

Arguments: `name=program` pairs, where a program is one of PROGRAMS. The settings come from the
environment, as always.
"""

import sys

from hub.config import Settings
from hub.entrypoints.stack import running_stack
from hub.entrypoints.supervisor import listen_for_stop

_SERVE = """
import http.server, os
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["HUB_PORT"])), Ready).serve_forever()
"""
_FORKING = """
import os, time
from hub.entrypoints.embedded.process import die_with_parent
if os.fork() == 0:
    die_with_parent()
time.sleep(600)
"""
PROGRAMS = {
    "serve": _SERVE,
    "idle": "import time; print('idle', flush=True); time.sleep(600)",
    "forking": _FORKING,
    "failing": "raise SystemExit('there is no such thing as luck')",
    "deaf": "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
}

processes = {}
for argument in sys.argv[1:]:
    name, program = argument.split("=")
    processes[name] = [sys.executable, "-c", PROGRAMS[program]]
with running_stack(
    Settings(),
    processes=processes,
    say=lambda line: print(line, flush=True),
    stop_wanted=(stop_wanted := listen_for_stop()),
) as supervisor:
    print("serving", flush=True)
    supervisor.tend_until(stop_wanted)
