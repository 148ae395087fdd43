"""Starting and stopping a program so that it never outlives whoever started it.

Linux tells a process that its parent died (PR_SET_PDEATHSIG). It does so when the *thread* that
forked it ends, so everything here must be called from a thread that lives as long as the program:
the main one. Elsewhere a Python child watches its parent itself, and a server left behind is
stopped by the next start (see hub.entrypoints.embedded.server).
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hub.entrypoints.embedded.account import Account

_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 0.5


def _ask_kernel(send: int) -> Callable[[], None] | None:
    """Return what asks for a signal at the parent's end, or None where the kernel cannot."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded here, before any fork: the child should do very little
    return partial(libc.prctl, _PR_SET_PDEATHSIG, send)


def _before_exec(send: int) -> Callable[[], None] | None:
    ask = _ask_kernel(send)
    parent = os.getpid()

    def prepare() -> None:
        if ask is not None:
            ask()
            if os.getppid() != parent:  # it died between the fork and the line above
                os._exit(1)

    return prepare if ask else None


def launch(
    argv: Sequence[str],
    *,
    output: int,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    on_parent_death: int = signal.SIGTERM,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, so that a Ctrl-C reaches only the parent.

    It runs from `/` unless told otherwise, as `account` when one is given, writes to the file
    descriptor `output`, and gets `on_parent_death` when the calling thread ends.
    """
    identity = account.identity() if account else {}
    return subprocess.Popen(  # noqa: S603
        list(argv),
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=output,
        stderr=output,
        env=dict(os.environ if env is None else env),
        cwd=options.pop("cwd", "/"),
        process_group=0,
        preexec_fn=_before_exec(on_parent_death),  # noqa: PLW1509  (async-signal-safe)
        **identity,
        **options,
    )


def stop(
    process: subprocess.Popen[bytes], *, gently: int, patience_seconds: float, firmly: int
) -> int:
    """Ask a program to end, insist after `patience_seconds`; return its exit code."""
    if process.poll() is None:
        process.send_signal(gently)
    try:
        return process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(firmly)
    try:
        return process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def die_with_parent(send: int = signal.SIGTERM) -> None:
    """Have this process end when its parent does; for children that a library forks.

    Call it at import in the forked process's main thread. Away from Linux a thread watches.
    """
    ask = _ask_kernel(send)
    if ask is not None:
        ask()
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os.kill(os.getpid(), send)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def die_with_supervisor() -> None:
    """As `die_with_parent`, but only below `hub up`: by hand a command may outlive its shell."""
    supervisor = os.environ.get("HUB_SUPERVISED")
    if supervisor is None:
        return
    die_with_parent()
    if os.getppid() != int(supervisor):  # it died before we asked
        sys.exit(1)


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, or nothing when there is none."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
