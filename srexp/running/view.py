"""Where a run is shown while it trains: in MLflow or TensorBoard."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from srexp.running.display import RunDisplay, Stop
from srexp.running.plan import Plan
from srexp.tracking.options import TensorBoardTracking
from srexp.tracking.record import RunFolder, remember_store
from srexp.tracking.remedy import remedy
from srexp.words import count

if TYPE_CHECKING:
    from srexp.evaluation.cost import Cost
    from srexp.tracking.mlflow_view import MlflowView
    from srexp.tracking.tensorboard_view import TensorBoardView

    RunView = MlflowView | TensorBoardView

# What MLflow gets when a second signal says that it should end now.
_AT_ONCE_SECONDS = 5.0
_TENSORBOARD = ("python", "-m", "tensorboard.main", "--logdir")


def start_view(
    plan: Plan, run: RunFolder, cost: Cost, *, fresh: bool, say: Callable[..., None]
) -> RunView | None:
    """Begin to show a run; None where it is shown nowhere.

    Args:
        plan: What is trained.
        run: Where.
        cost: Of the network.
        fresh: MLflow cannot know the run yet.
        say: Where to.
    """
    from srexp.tracking.mlflow_view import MlflowView
    from srexp.tracking.tensorboard_view import TensorBoardView
    from srexp.training.shown import shown

    tracking = plan.experiment.tracking
    if isinstance(tracking, TensorBoardTracking):
        return TensorBoardView(run, tracking.folder(run))
    parent = plan.job.parent_run_id if plan.job else None
    what = shown(plan.experiment, plan.materials, run, cost, parent)
    if what is None:
        return None
    run.update(mlflow=what)
    view = MlflowView(run, fresh=fresh)
    say(f"MLflow: {view.mirror.store}", whole=True)
    view.start()
    view.wake()
    remember_store(what["uri"])
    return view


def how_to_open(view: RunView) -> str:
    """The command that shows it."""
    from srexp.tracking.mlflow_view import MlflowView

    if isinstance(view, MlflowView):
        return f"MLflow: python -m srexp ui --uri {shlex.quote(view.mirror.store.uri)}"
    folder = view.folder
    logdir = folder.parent if folder.name == view.run.id else folder
    return f"TensorBoard: {shlex.join([*_TENSORBOARD, str(logdir)])}"


def close_view(view: RunView, run: RunFolder, display: RunDisplay, stop: Stop) -> None:
    """Show the rest, or say how much is missing and what helps."""
    from srexp.tracking.mlflow_view import MlflowView

    if not isinstance(view, MlflowView):
        view.close()
        if view.error is not None:
            display.note(f"TensorBoard's event file is not whole ({view.error})")
        return
    try:
        stop.let_go()
        view.close(lambda: display.say("sending the last results to MLflow ..."))
    except KeyboardInterrupt:
        view.stop(_AT_ONCE_SECONDS)
    if view.error is not None:
        store = view.mirror.store
        help = remedy(view.cause, store, run.folder.parent, run.id)
        display.note(
            f"MLflow at {store.uri} did not take everything ({view.error}): "
            f"{count(view.unsent(), 'item was', 'items were')} not sent. The run folder has "
            f"them all; {help}",
            whole=True,
        )
    elif view.mirror.refused is not None:
        display.note(f"MLflow refused a part of it ({view.mirror.refused})")
