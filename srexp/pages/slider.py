"""What the before/after slider of a page shows (`parts.slider`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SliderPicture:
    """One of several pictures of the same part of an image.

    Attributes:
        name: `bicubic`, `HR`, or what made it.
        src: `page.data_uri(...)`.
        caption: Its scores; empty for none.
    """

    name: str
    src: str
    caption: str = ""


@dataclass(frozen=True)
class Slider:
    """A slider.

    Attributes:
        title: What stands above.
        width: Of every picture, in pixels.
        height: Likewise.
        pictures: Two or more.
        left: Which one is shown on the left at first.
        right: Likewise.
        note: What stands below; empty for nothing.
    """

    title: str
    width: int
    height: int
    pictures: tuple[SliderPicture, ...]
    left: int
    right: int
    note: str = ""

    @property
    def nbytes(self) -> int:
        """About how much the page grows by it."""
        return sum(len(picture.src) for picture in self.pictures)
