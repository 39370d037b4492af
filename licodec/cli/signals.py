"""Ctrl-C and termination as one exception, so that nothing half-written is left behind."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

GRACE_SECONDS = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.status = 128 + number
        """Exit status, as a shell reports the signal."""


def install() -> None:
    """Raise Stopped in the main thread for the first signal.

    Fingers press Ctrl-C twice: within two seconds more signals are ignored, so that they cannot break the
    clean-up. After that the program ends at once.
    """
    first: float | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            raise Stopped(number)
        if now - first > GRACE_SECONDS:
            os._exit(128 + number)

    for number in _SIGNALS:
        # What nohup, or a shell that starts a background job, had ignored stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def settle() -> None:
    """Everything is done and said: a late signal must not change the exit status.

    While it shuts down, Python would put the system's own handlers back, and what was loaded takes a while to unload.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
