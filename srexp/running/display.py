"""What a run asks of whoever started it: to be shown, and to be told when to stop."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from srexp.data import cache
    from srexp.evaluation.cost import Cost
    from srexp.evaluation.scoring import Report
    from srexp.evaluation.timing import Timing
    from srexp.training.experiment import Experiment
    from srexp.training.loop import Window
    from srexp.training.materials import Materials


class Said(Protocol):
    """What a person is told."""

    def say(self, text: str, *, whole: bool = False) -> None:
        """A line on how it goes; `whole`: not to be folded, since it names a path or a command."""

    def note(self, text: str, *, whole: bool = False) -> None:
        """What a person should know."""


class EvaluationDisplay(Said, Protocol):
    """What a person sees of an evaluation."""

    def found(self, report: Report, cost: Cost | None, timing: Timing | None) -> None:
        """The scores of one task."""


class RunDisplay(Said, Protocol):
    """What a person sees of a run. A context while it trains."""

    def describe(
        self, experiment: Experiment, materials: Materials, values: dict[str, Any]
    ) -> None:
        """A dry run: what would be trained."""

    def preparing(self) -> AbstractContextManager[cache.Progress | None]:
        """Within, images are read; what is told is of those that are made for the cache."""

    def begin(self, first: int, last: int) -> None:
        """Training begins after `first` steps, and will have done `last`."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def stepped(self, step: int) -> None:
        """One step done."""

    def window(self, window: Window) -> None:
        """A few steps done."""

    def evaluated(self, step: int, reports: list[Report]) -> None:
        """The validation images were scored."""

    def scored(self, reports: Sequence[Report], cost: Cost) -> None:
        """The scores at the end."""


class Stop(Protocol):
    """Signals, while a run is trained: `srexp.terminal.interruption` has the real ones. A context.

    Attributes:
        asked: Whether one has come.
        raised: Whether one has stopped something.
        graceful: While True the first one only sets `asked`; else it raises KeyboardInterrupt.
    """

    asked: bool
    raised: bool
    graceful: bool

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def hold(self) -> None:
        """Let a signal wait from now on."""

    def let_go(self) -> None:
        """End `hold`; raises KeyboardInterrupt if one has come meanwhile."""

    @property
    def exit_code(self) -> int:
        """Of a process that it ends."""
