"""What the engines of `srexp.images.resize` can do, checked once for all that resizes."""

from __future__ import annotations

from srexp.images.resize import MATLAB_INTERPOLATIONS
from srexp.options import OptionError


def check_engine(engine: str, interpolation: str, antialias: bool) -> None:
    """Raises OptionError: the engine has no such kernel, or cannot leave antialiasing out."""
    if engine == "matlab" and interpolation not in MATLAB_INTERPOLATIONS:
        raise OptionError(
            f"interpolation={interpolation}: engine=matlab has no such kernel; use engine=pillow",
            "interpolation",
        )
    if engine == "pillow" and not antialias:
        raise OptionError(
            "antialias=false: engine=pillow always antialiases; use engine=matlab", "antialias"
        )
