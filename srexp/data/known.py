"""The image sets that srexp knows: what they are, where from, and what was published."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from srexp.images.io import list_images
from srexp.options import OptionError

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class PublishedImage:
    """One image of a set whose content we have verified.

    Attributes:
        name: The file's name in the data directory; in another format it ends otherwise.
        at: Its name at the set's address.
        sha256: Of the file at the address.
        pixels: `srexp.data.sets.pixels_digest`, for any lossless format; None for JPEG, which
            decoders round differently.
    """

    name: str
    at: str
    sha256: str
    pixels: str | None


@dataclass(frozen=True)
class KnownSet:
    """An image set by its name.

    Attributes:
        name: Also of its folder in the data directory.
        use: `training` or `benchmark`.
        images: How many it has.
        source: Whose it is.
        terms: What it may be used for.
        address: Of an archive, or ending in / of a folder; None where there is no public one.
        pick: Pattern of the images' paths in the archive.
        apply: How to get a set without an address.
    """

    name: str
    use: str
    images: int
    source: str
    terms: str
    address: str | None
    pick: str | None = None
    apply: str | None = None

    @cached_property
    def published(self) -> list[PublishedImage]:
        """Its images, where we have verified their content; else empty."""
        path = _HERE / "sums" / f"{self.name}.txt"
        if not path.exists():
            return []
        rows = [
            line.split() for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"
        ]
        return [
            PublishedImage(name, at, sha256, None if pixels == "-" else pixels)
            for sha256, pixels, at, name in rows
        ]

    def facts(self, data_dir: Path) -> dict[str, Any]:
        """What can be said of it, and how much of it is in a data directory (`here`)."""
        found = self.found(data_dir)
        return {
            "name": self.name,
            "use": self.use,
            "images": self.images,
            "source": self.source,
            "terms": self.terms,
            "address": self.address,
            "apply": self.apply,
            "checksums": bool(self.published),
            "folder": str((data_dir / self.name).resolve()),
            "found": found,
            "here": "no" if not found else "yes" if found == self.images else "incomplete",
        }

    def recognise(self, sha256: str, pixels: str | None = None) -> list[PublishedImage]:
        """The published images with this content: one, none, or two of T91 that are the same.

        Args:
            sha256: Of the file.
            pixels: `srexp.data.sets.pixels_digest` of what is in it.
        """
        return [
            image
            for image in self.published
            if image.sha256 == sha256 or (pixels is not None and image.pixels == pixels)
        ]

    def found(self, data_dir: Path) -> int | None:
        """How many pictures its folder holds; None if there is no folder."""
        folder = data_dir / self.name
        return len(list_images(folder)) if folder.is_dir() else None


@cache
def known_sets() -> dict[str, KnownSet]:
    """All of them, by name."""
    content = yaml.safe_load((_HERE / "known.yaml").read_text(encoding="utf-8"))
    return {name: KnownSet(name=name, **values) for name, values in content.items()}


def known_set(name: str) -> KnownSet:
    """One of them.

    Raises:
        OptionError: There is none of that name; the nearest is named.
    """
    known = known_sets()
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise OptionError(f"{name}: no image set of that name{hint} (there are {', '.join(known)})")
