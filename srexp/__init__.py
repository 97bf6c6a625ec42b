"""srexp: experiments with single-image super-resolution, measured against bicubic.

    import srexp

    run = srexp.train("model.depth=7", "act=leaky_relu")
    run.scores, run.curves, run.upscale(image)
    srexp.load("tiny", scale=2).upscale(image)
    srexp.evaluate(run, benchmark="set5")
    srexp.compare(run, srexp.open_run("latest"))

Each name is imported when it is first used: `import srexp` costs what Python itself costs.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srexp.library.comparison import Comparison, compare
    from srexp.library.evaluation import evaluate
    from srexp.library.loading import Enlarger, load
    from srexp.library.run import Run, open_run, runs
    from srexp.library.sweeping import sweep
    from srexp.library.training import train
    from srexp.options import OptionError
    from srexp.tracking.record import RunError

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Enlarger",
    "OptionError",
    "Run",
    "RunError",
    "__version__",
    "compare",
    "evaluate",
    "load",
    "open_run",
    "runs",
    "sweep",
    "train",
]

# Keras reads it when it is first imported, and would take another one from the user's keras.json.
os.environ["KERAS_BACKEND"] = "tensorflow"

_WHERE = {
    "Comparison": "srexp.library.comparison",
    "compare": "srexp.library.comparison",
    "evaluate": "srexp.library.evaluation",
    "Enlarger": "srexp.library.loading",
    "load": "srexp.library.loading",
    "Run": "srexp.library.run",
    "open_run": "srexp.library.run",
    "sweep": "srexp.library.sweeping",
    "runs": "srexp.library.run",
    "train": "srexp.library.training",
    "OptionError": "srexp.options",
    "RunError": "srexp.tracking.record",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'srexp' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
