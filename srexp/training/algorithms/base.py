"""What every training algorithm is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.options import Options

if TYPE_CHECKING:
    import keras

    from srexp.losses.base import Loss
    from srexp.training.experiment import Experiment
    from srexp.training.learner import Learner
    from srexp.training.strategy import Strategy


@dataclass(kw_only=True)
class Algorithm(Options, group="algorithm"):
    """What one step does: which networks are trained, by which optimizers, to lower what."""

    def check(self, experiment: Experiment) -> None:
        """Raises OptionError: the experiment cannot be trained so. Without Keras."""

    def curves(self, loss: Loss) -> tuple[str, ...]:
        """The names of the scalars that a step gives; empty where only a step tells."""
        return ()

    def build(self, experiment: Experiment, network: keras.Model, strategy: Strategy) -> Learner:
        """The networks, their optimizers and the step.

        Args:
            experiment: All options of the run: its loss, optimizer, schedule and so on.
            network: The network that is scored, `[N, h, w, C]` -> `[N, H, W, C]`.
            strategy: Where the step runs.

        Raises:
            OptionError: The experiment cannot be trained so.
        """
        raise NotImplementedError
