"""How a training ends."""

from __future__ import annotations

from dataclasses import dataclass

from srexp.tracking.record import RunError, RunFolder


class RunFailed(RunError):
    """A training that began and failed, in one line; its run is marked so."""


class RunInterrupted(KeyboardInterrupt):
    """A signal ended a training; what was trained is saved.

    Attributes:
        exit_code: 128 plus the signal's number, as shells expect.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class TrainedRun:
    """What a training came to.

    Attributes:
        run: Where it is kept.
        gain: Mean PSNR gain over bicubic in dB on the last benchmark (or the validation images)
            under the first protocol; None where a search stopped it.
    """

    run: RunFolder
    gain: float | None
