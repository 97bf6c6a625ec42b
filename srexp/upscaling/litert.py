"""Networks in LiteRT files: no TensorFlow, and half its time on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from srexp.cores import available_cores
from srexp.options import OptionError
from srexp.quiet import quiet_import


def _interpreter() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # not made for every system; TensorFlow brings the same, and starts slowly
        import warnings

        import tensorflow as tf

        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        return tf.lite.Interpreter
    return Interpreter


class LiteRT:
    """A network in a `.tflite` file, `[1, h, w, C]` -> `[1, H, W, C]` for any sides.

    Args:
        file: Where it is.
        threads: Of the processor; None for all its cores that this process may use.

    Raises:
        OptionError: No such file, a damaged one, or one with operations that there are not.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        self._file = file
        with quiet_import(), self._faults_named():
            threads = threads or len(available_cores())
            self._interpreter = _interpreter()(str(file), num_threads=threads)
        (self._input,) = (one["index"] for one in self._interpreter.get_input_details())
        (self._output,) = (one["index"] for one in self._interpreter.get_output_details())
        self._shape: tuple[int, ...] = ()

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        """Float32 in, float32 out. Not from two threads at a time.

        Raises:
            OptionError: It has operations that there are not, or no room.
        """
        if lr.shape != self._shape:
            with quiet_import(), self._faults_named():
                self._interpreter.resize_tensor_input(self._input, lr.shape)
                self._interpreter.allocate_tensors()
            self._shape = lr.shape
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(lr, np.float32))
        with self._faults_named():
            self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:
            said = (str(error).splitlines() or ["it does not say why"])[0]
            raise OptionError(f"{self._file}: LiteRT cannot run it ({said[:200]})") from None
