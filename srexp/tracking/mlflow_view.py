"""MLflow beside a running training: a thread that can never hurt it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_store import one_line
from srexp.tracking.record import RunFolder

# Points are cheap only in batches, so they are gathered for so long.
_BATCH_SECONDS = 1.0
# Between two attempts at a server that does not answer; each wait is twice the one before.
_LONGEST_WAIT_SECONDS = 60.0


class MlflowView(threading.Thread):
    """Sends what is new in a run folder whenever it is told that something is.

    Whatever goes wrong here never reaches the caller. A server that is away is tried again and
    again while training lasts, and once or twice at its end; `srexp sync` sends the rest.

    Attributes:
        error: Why the last attempt failed, in one line, or None.
        cause: The exception behind it.
    """

    def __init__(self, run: RunFolder, *, fresh: bool) -> None:
        """Args:
        run: Its `info["mlflow"]` says where to and as what.
        fresh: MLflow cannot know the run yet.
        """
        super().__init__(name="mlflow-writer", daemon=True)
        self.mirror = Mirror(run)
        self.error: str | None = None
        self.cause: BaseException = TimeoutError()
        self._fresh = fresh
        self._wake = threading.Event()
        self._closing = threading.Event()

    def wake(self) -> None:
        """Something new is in the folder."""
        self._wake.set()

    def close(self, waiting: Callable[[], None]) -> None:
        """Send the rest and the final status; gives up when nothing moves any more.

        Args:
            waiting: Called once if it takes longer than a moment.
        """
        self._closing.set()
        self._wake.set()
        patience = 3.0 * self.mirror.store.timeout_seconds
        began = still_since = time.monotonic()
        moved, told = -1, False
        while self.is_alive():
            self.join(0.05)
            now = time.monotonic()
            if self.mirror.moved != moved:
                moved, still_since = self.mirror.moved, now
            if now - still_since > patience:
                self.error = self.error or f"no answer within {patience:.0f} s"
                return
            if not told and now - began > 1:
                told = True
                waiting()

    def stop(self, seconds: float) -> None:
        """Send what can be sent in so many seconds."""
        self._closing.set()
        self._wake.set()
        self.join(seconds)
        if self.is_alive():
            self.error = self.error or "stopped before all was sent"

    def unsent(self) -> int:
        """How many numbers, pictures and files MLflow does not have."""
        return self.mirror.unsent() if self.error is not None else 0

    def run(self) -> None:
        """The thread."""
        wait, failures = _BATCH_SECONDS, 0
        while True:
            self._wake.wait()
            self._closing.wait(wait)
            self._wake.clear()
            closing = self._closing.is_set()
            try:
                self.mirror.connect(fresh=self._fresh)
                self.mirror.send()
                if closing:
                    self.mirror.finish()
                self.error, wait, failures = None, _BATCH_SECONDS, 0
                if closing:
                    return
            except BaseException as error:  # whatever it is, training must not notice
                self.error, self.cause = one_line(error), error
                self.mirror.disconnect()
                self._fresh = False  # it may have been made and the answer lost
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
                failures += 1
                self._wake.set()
                # A server that was away before the end gets one chance, one that was there two.
                if closing and failures >= 2:
                    with suppress(BaseException):
                        self.mirror.terminate()  # it may be only the files that are not taken
                    return
