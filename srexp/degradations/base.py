"""What every degradation is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from srexp.images.resize import ENGINES, INTERPOLATIONS
from srexp.options import Options, bounded, choice


@dataclass(frozen=True)
class Draw:
    """Which random numbers an image gets: the same ones whenever it is asked, and no other image's.

    Attributes:
        image: Stands for the image's content (`srexp.data.sets.pixels_digest`).
        number: 0 where images are scored; in training another one for each patch.
    """

    image: str = ""
    number: int = 0

    def generator(self, seed: int, purpose: str) -> np.random.Generator:
        """Random numbers of this draw.

        Args:
            seed: Of the degradation.
            purpose: What they are for: two links of a chain get other ones.
        """
        words = f"{seed} {self.image} {self.number} {purpose}".encode()
        key = int.from_bytes(hashlib.sha256(words).digest()[:16], "little")
        return np.random.Generator(np.random.Philox(key=key))


# Where nothing is random.
NO_DRAW = Draw()


@dataclass(kw_only=True)
class Degradation(Options, group="degradation"):
    """HR `[H, W, C]` in [0, 1] -> LR `[H/scale, W/scale, C]`, deterministic in the draw.

    LR is float32 and not clipped: the bicubic kernel overshoots, and `y_paper` keeps that.

    H and W divide by `scale`: the caller has cropped. `interpolation` and `engine` also say how
    the bicubic baseline (`engine`) and the input of pre-upsampling networks (both) are enlarged.

    Attributes:
        scale: The factor between LR and HR, 2 to 8.
        interpolation: The kernel that shrinks the image.
        engine: `matlab` (`imresize`: edges mirrored) or `pillow` (edge taps dropped).
        lr_8bit: Whether LR is rounded to 8 bits, as in a file, or kept in floats; None: as each
            protocol says.
    """

    scale: int = bounded(2, 8)
    interpolation: str = choice(*INTERPOLATIONS)
    engine: str = choice(*ENGINES)
    lr_8bit: bool | None = None

    @property
    def random(self) -> bool:
        """Whether two draws differ: training then degrades each patch anew."""
        return False

    @property
    def stored(self) -> str:
        """What makes LR an 8-bit file, whatever else is said; empty for nothing."""
        return ""

    @property
    def reach(self) -> int | None:
        """HR pixels to each side on which an LR pixel depends, at most; None for the whole image.

        Where `random`, so much around a patch is degraded with it.
        """
        return None

    def __call__(
        self, hr: np.ndarray, *, draw: Draw = NO_DRAW, eight_bit: bool = False
    ) -> np.ndarray:
        """Degrade.

        Args:
            hr: `[H, W, C]` float32.
            draw: Where random numbers come from (`Draw.generator`), and from nowhere else.
            eight_bit: HR and LR are stored 8-bit pictures (the caller rounds).
        """
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What tables print: never two different degradations under one label."""
        raise NotImplementedError

    @property
    def storage_label(self) -> str:
        """What `label` ends in."""
        return {None: "", True: ", LR in 8 bits", False: ", LR in floats"}[self.lr_8bit]
