"""What every discriminator is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.options import OptionError, Options, bounded

if TYPE_CHECKING:
    import keras

# Of leaky ReLU, in all discriminators here, as in their papers.
SLOPE = 0.2


@dataclass(kw_only=True)
class Discriminator(Options, group="discriminator"):
    """A network that says of an image how much it looks like HR.

    Attributes:
        filters: Of the first layer; the others have multiples of them.
    """

    filters: int = bounded(1, 512)

    def check(self, side: int) -> None:
        """Raises OptionError: images of `side` x `side` pixels do not suit it; says which do."""

    def build(self, *, side: int, channels: int) -> keras.Model:
        """The network, `[N, side, side, C]` in [0, 1] -> logits `[N, ...]`: above 0 is HR.

        Args:
            side: Of the images, which `check` has let through.
            channels: 1 (Y) or 3 (RGB).
        """
        raise NotImplementedError


def refuse(side: int, name: str, wanted: str) -> OptionError:
    """That patches of this side do not suit a discriminator."""
    return OptionError(
        f"trainer.hr_patch_size={side}: discriminator {name} needs {wanted}",
        "trainer.hr_patch_size",
    )
