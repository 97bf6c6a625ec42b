"""Imported once by the process that all jobs of a sweep are forked from.

It spares every job some ten seconds of imports. Nothing here may create a tensor or look for
GPUs: what TensorFlow has begun does not survive a fork.
"""

from __future__ import annotations

import gc
import importlib
import os
from contextlib import suppress

from srexp.quiet import quiet_import
from srexp.tracking.mlflow_store import before_import

_MODULES = (
    "tensorflow", "keras", "mlflow", "mlflow.store.tracking.sqlalchemy_store", "scipy.special",
    "skimage.data", "sklearn.datasets", "hydra.core.utils", "srexp.terminal.console",
    "srexp.terminal.display", "srexp.commands.train", "srexp.comparison.run_report",
    "jinja2", "matplotlib.backends.backend_svg", "srexp.evaluation.grids",
    "srexp.evaluation.tables", "srexp.tracking.mlflow_view", "srexp.training.session",
    "srexp.training.shown", "srexp.training.trained",
)  # fmt: skip

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
before_import()
with quiet_import():
    for _name in _MODULES:
        with suppress(Exception):  # a job that needs it will say so
            importlib.import_module(_name)
    importlib.import_module("srexp.config.registry").implementations("model")
# A job's garbage collector would look at all of this, and each look copies the page it is on.
gc.collect()
gc.freeze()
