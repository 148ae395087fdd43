"""Keeps parts running: starts them, starts again what dies, stops them in order.

It never forks from a second thread, because a Linux child started with a death signal gets it when
the forking *thread* ends (see hub.entrypoints.embedded.process).
"""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hub.entrypoints.embedded.process import launch, stop, tail
from hub.errors import HubError

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0  # a part that lived this long starts with a clean record
_SHOW_LOG_AFTER = 3
_LARGEST_LOG_BYTES = 16 * 1024 * 1024
_TICK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Part:
    """Something that must keep running: how it starts, where it logs, how it ends."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    log: Path
    gently: int = signal.SIGTERM
    firmly: int = signal.SIGKILL
    patience_seconds: float = 15.0


def program(name: str, argv: Sequence[str], *, env: Mapping[str, str], logs: Path) -> Part:
    """Return a part that runs `argv` and appends what it says to a log named for it."""
    log = logs / f"{name}.log"

    def start() -> subprocess.Popen[bytes]:
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            return launch(argv, output=output.fileno(), env=env)

    return Part(name, start, log)


@dataclass(slots=True)
class _Kept:
    part: Part
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: int = 0
    start_again_at: float | None = None


class Supervisor:
    """Parts in the order of their start. All times are monotonic seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kept: list[_Kept] = []

    def start(self, part: Part) -> None:
        """Start a part and keep it running. Raises what its start raises."""
        self.adopt(part, part.start())

    def adopt(self, part: Part, process: subprocess.Popen[bytes]) -> None:
        """Keep a part running that was started already."""
        self._kept.append(_Kept(part, process, time.monotonic()))

    def tend(self) -> None:
        """Start again what has died and whose pause is over."""
        for kept in self._kept:
            if kept.start_again_at is None:
                code = kept.process.poll()
                if code is not None:
                    self._mourn(kept, _ending(code))
            elif time.monotonic() >= kept.start_again_at:
                self._revive(kept)

    def tend_until(self, done: Callable[[], bool], *, seconds: float | None = None) -> bool:
        """Tend until `done`, at most for `seconds`; say whether it was done."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not done():
            if deadline is not None and time.monotonic() > deadline:
                return False
            self.tend()
            time.sleep(_TICK_SECONDS)
        return True

    def deaths(self, name: str) -> int:
        """Return how often in a row the part called `name` died soon after its start."""
        return sum(kept.deaths for kept in self._kept if kept.part.name == name)

    def stop(self) -> None:
        """End all parts, the last started first, each before the next."""
        while self._kept:
            kept = self._kept.pop()
            stop(
                kept.process,
                gently=kept.part.gently,
                patience_seconds=kept.part.patience_seconds,
                firmly=kept.part.firmly,
            )

    def _mourn(self, kept: _Kept, ending: str) -> None:
        steady = time.monotonic() - kept.started_at > _STEADY_SECONDS
        kept.deaths = 1 if steady else kept.deaths + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (kept.deaths - 1), _LONGEST_PAUSE_SECONDS)
        kept.start_again_at = time.monotonic() + pause
        self._say(f"{kept.part.name} {ending}; it starts again in {pause:g} s")
        if kept.deaths == _SHOW_LOG_AFTER:
            self._say(f"{kept.part.name} keeps ending. Last lines of {kept.part.log}:")
            self._say(tail(kept.part.log))

    def _revive(self, kept: _Kept) -> None:
        kept.started_at = time.monotonic()
        try:
            kept.process = kept.part.start()
        except HubError as failure:
            self._mourn(kept, f"did not start ({failure.message})")
        else:
            kept.start_again_at = None


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return f"ended with code {code}"


class _Flag:
    def __init__(self) -> None:
        self._raised = False

    def __call__(self) -> bool:
        return self._raised

    def raise_it(self, number: int, frame: FrameType | None) -> None:
        self._raised = True


def listen_for_stop() -> Callable[[], bool]:
    """Return what says whether a signal has asked to stop.

    The signal itself only sets a flag, so that nothing is interrupted half-way.
    """
    flag = _Flag()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, flag.raise_it)
    return flag
