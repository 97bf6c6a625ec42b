"""From files to files: what there is to do, what is done already, and doing it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from srexp.files import written_atomically
from srexp.images.io import MOST_MEGAPIXELS, ImageFileError, most_megapixels
from srexp.options import OptionError
from srexp.pictures import reading, writing
from srexp.pictures.picture import Beside, Frame, Picture
from srexp.pictures.writing import Format
from srexp.upscaling.method import Method
from srexp.upscaling.network import as_float
from srexp.upscaling.sizes import Wanted

# Of a result; each takes some 7 bytes until it is written.
_MOST_MEGAPIXELS = 500


class NotDone(Exception):
    """A picture that cannot be enlarged, and why."""


@dataclass(frozen=True)
class Source:
    """A picture to enlarge.

    Attributes:
        path: Where it is.
        below: Its folder below the one that was named, so that a tree is kept; `.` for a file.
        named: Whether it was named itself; what is only found in a folder may be passed over.
    """

    path: Path
    below: Path = Path()
    named: bool = True


def find(inputs: Sequence[str]) -> Iterator[Source | NotDone]:
    """The pictures that names stand for: files, folders with all that is below, patterns.

    In folders, hidden files and those whose names do not end as a picture's are passed over.
    """
    for text in inputs:
        path = Path(os.path.expanduser(text))
        if path.is_dir():
            yield from _in_folder(path, text)
        elif os.path.lexists(path) or not set("*?[") & set(text):
            yield Source(path)
        else:
            import glob

            found = sorted(glob.glob(str(path), recursive=True))
            if not found:
                yield NotDone(f"{text}: no such file")
            for one in map(Path, found):
                if one.is_dir():
                    yield from _in_folder(one, str(one))
                else:
                    yield Source(one, named=False)


def _in_folder(folder: Path, text: str) -> Iterator[Source | NotDone]:
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in reading.EXTENSIONS and not name.startswith("."):
                count += 1
                yield Source(path, path.parent.relative_to(folder), named=False)
    if not count:
        yield NotDone(f"{text}: no pictures in this folder")


@dataclass(frozen=True)
class Settings:
    """How pictures are enlarged.

    Attributes:
        method: By what.
        wanted: How large.
        out: A folder, a file for the one picture that there is, or None: beside each picture.
        format: What as; None: as `writing.usual_format` says, or as a file's name ends.
        quality: Of formats that lose something.
        strip: Leave out EXIF, profile, resolution and the note of how it was made.
        overwrite: Write over files that are there.
        compare: Beside each a second file, with bicubic next to it.
        version: Of srexp, for the note.
    """

    method: Method
    wanted: Wanted
    out: Path | None = None
    format: Format | None = None
    quality: int | None = None
    strip: bool = False
    overwrite: bool = False
    compare: bool = False
    version: str = ""

    def note(self, content: bytes) -> str:
        """How a picture is made, and of what: equal for what would come out equal."""
        how = [f"{self.method.name} [{self.method.digest}]", str(self.wanted)]
        how += ["self-ensemble"] if self.method.ensemble else []
        how += [f"quality {self.quality}"] if self.quality else []
        of = hashlib.sha256(content).hexdigest()[:16]
        return f"srexp {self.version}: {' '.join(how)} of {of}"


@dataclass
class Made:
    """What came of one picture.

    Attributes:
        target: Where it is; None if it was written to a stream.
        before: Width and height of the picture.
        after: Of the result.
        remarks: What a person should know.
        skipped: It was there already, and is as it was.
        own: It is a result of srexp that was found in a folder, and not enlarged again.
    """

    target: Path | None
    before: tuple[int, int]
    after: tuple[int, int]
    remarks: list[str] = field(default_factory=list)
    skipped: bool = False
    own: bool = False


def target_of(source: Source, settings: Settings, kind: Format) -> Path:
    """Where a picture's result goes: `NAME_x2.png` beside it, or below the folder of results."""
    out = settings.out
    if out is not None and writing.format_of(out.suffix) is not None and not out.is_dir():
        return out
    folder = source.path.parent if out is None else out / source.below
    return folder / f"{source.path.stem}_{settings.wanted}{kind.extension}"


def enlarge_file(
    source: Source,
    settings: Settings,
    taken: dict[Path, Path],
    made: Callable[[int, int], None] = lambda pixels, whole: None,
) -> Made:
    """Enlarge one picture file into another, which is whole or not there.

    Args:
        source: The picture.
        settings: How.
        taken: Target -> source of what was made before; this one is added.
        made: Told of how many pixels more are made, and how many there will be.

    Raises:
        NotDone: It cannot be; the message names it and says why.
    """
    path = source.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotDone(f"{path}: cannot be read ({error.strerror})") from None
    with _faults_named(path), reading.opened(content, str(path)) as picture:
        kind = settings.format or writing.usual_format(picture.format, picture.count)
        target = target_of(source, settings, kind)
        _check_target(path, target, taken)
        note = settings.note(content)
        before, after = _sizes(picture, settings, kind)
        if not source.named and (
            path.resolve() in taken or writing.read_note(content).startswith("srexp ")
        ):
            return Made(path, before, before, skipped=True, own=True)
        beside = target.with_name(f"{target.stem}_compare.png") if settings.compare else None
        if beside is not None:
            _check_target(path, beside, taken)
        there = target.exists() and not settings.overwrite
        remarks = _as_before(target, note, settings) if there else list(picture.remarks)
        if not there:
            target.parent.mkdir(parents=True, exist_ok=True)
            with written_atomically(target) as file:
                _enlarge(picture, file, settings, kind, note, remarks, after, made)
        # Not before: a file of that name that is somebody's own is no result.
        taken[target.resolve()] = path
        if beside is not None:
            remarks += _compare(content, target, beside, after, f"{note}, compared", settings)
            taken[beside.resolve()] = path
        return Made(target, before, after, remarks, skipped=there)


@contextmanager
def _faults_named(path: Path | str) -> Iterator[None]:
    """Whatever can go wrong with a picture, as `NotDone` that names it."""
    try:
        yield
    except ImageFileError as error:
        raise NotDone(str(error)) from None
    except OptionError as error:
        raise NotDone(f"{path}: {error}") from None
    except MemoryError:
        raise NotDone(f"{path}: does not fit into memory enlarged so") from None
    except OSError as error:
        named = error.filename or path
        raise NotDone(f"{named}: cannot be written ({error.strerror or error})") from None


def enlarge_stream(
    content: bytes,
    file: BinaryIO,
    settings: Settings,
    made: Callable[[int, int], None] = lambda pixels, whole: None,
    *,
    name: str = "standard input",
) -> Made:
    """Enlarge a picture that is in memory.

    Args:
        content: Of a picture file.
        file: Where the result goes; it may be read and gone back in.
        settings: How.
        made: As of `enlarge_file`.
        name: What it is called in errors.

    Raises:
        NotDone: It cannot be.
    """
    with _faults_named(name), reading.opened(content, name) as picture:
        kind = settings.format or writing.usual_format(picture.format, picture.count)
        before, after = _sizes(picture, settings, kind)
        remarks = list(picture.remarks)
        _enlarge(picture, file, settings, kind, settings.note(content), remarks, after, made)
    return Made(None, before, after, remarks)


def _check_target(path: Path, target: Path, taken: dict[Path, Path]) -> None:
    if target.exists() and target.samefile(path):
        raise NotDone(f"{path}: the result would be written over it; name another with -o")
    if (other := taken.get(target.resolve())) is not None:
        raise NotDone(f"{path}: {target} is that of {other} already; rename one of the two")
    if target.is_dir():
        raise NotDone(f"{path}: {target} is a folder")


def _sizes(
    picture: Picture, settings: Settings, kind: Format
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height before and after.

    Raises:
        OptionError: More than the format holds, or than is made.
    """
    before = picture.width, picture.height
    after = settings.wanted.of(*before)
    writing.check(kind, *after, settings.quality)
    megapixels = after[0] * after[1] / 1e6
    most = max(_MOST_MEGAPIXELS, most_megapixels())
    if megapixels > most:
        raise OptionError(
            f"the result would be {after[0]}x{after[1]}, {megapixels:.3g} megapixels, and at most "
            f"{most:g} are made; the environment variable {MOST_MEGAPIXELS} allows more"
        )
    return before, after


def _as_before(target: Path, note: str, settings: Settings) -> list[str]:
    """What there is to say of a result that is there.

    Raises:
        NotDone: It was made in another way.
    """
    there = writing.read_note(target.read_bytes())
    if there == note:
        return ["is there already"]
    if not there and (settings.strip or target.suffix.lower() == ".bmp"):
        return ["is there already; of how it was made it says nothing"]
    raise NotDone(f"{target}: is there, and was made otherwise; to replace it: --overwrite")


def _enlarge(
    picture: Picture,
    file: BinaryIO,
    settings: Settings,
    kind: Format,
    note: str,
    remarks: list[str],
    after: tuple[int, int],
    made: Callable[[int, int], None],
) -> None:
    whole = _pixels_made(picture, settings.method, after)
    clear = False

    def frames() -> Iterator[Frame]:
        nonlocal clear
        for frame in picture.frames():
            clear = clear or frame.alpha is not None
            layers = 1 if frame.alpha is None else 2
            told = partial(_tell, made, whole * layers * picture.count)
            larger = settings.method.enlarged_frame(frame, after, told)
            yield larger if kind.deep else _in_8_bits(larger)

    beside = Beside(loops=picture.beside.loops) if settings.strip else picture.beside
    options = {
        "quality": settings.quality, "note": "" if settings.strip else note,
        "count": picture.count,
    }  # fmt: skip
    remarks += writing.write(file, frames(), kind, beside, **options)  # type: ignore[arg-type]
    remarks += writing.losses(kind, picture.deep, picture.count, clear)


def _tell(made: Callable[[int, int], None], whole: int, more: int) -> None:
    made(more, whole)


def _pixels_made(picture: Picture, method: Method, after: tuple[int, int]) -> int:
    """Of one frame's colour, by all networks together."""
    pixels, factor = 0, 1
    for scale in method.steps(picture.width, picture.height, after):
        factor *= scale
        pixels += picture.width * picture.height * factor**2
    return max(1, pixels)


def _in_8_bits(frame: Frame) -> Frame:
    if frame.colour.dtype == np.uint8:
        return frame
    layers = [
        None if one is None else ((one.astype(np.uint32) + 128) // 257).astype(np.uint8)
        for one in (frame.colour, frame.alpha)
    ]
    assert layers[0] is not None
    return replace(frame, colour=layers[0], alpha=layers[1])


def _compare(
    content: bytes, target: Path, path: Path, size: tuple[int, int], note: str, settings: Settings
) -> list[str]:
    """Write bicubic on the left, what was made on the right, unless it is there; what to say."""
    if path.exists() and not settings.overwrite:
        _as_before(path, note, settings)
        return []
    with (
        reading.opened(content, str(target)) as before,
        reading.opened(target.read_bytes(), str(target)) as after,
    ):
        bicubic = Method("bicubic", "").enlarged_frame(next(before.frames()), size)
        sides = [_on_white(_in_8_bits(bicubic)), _on_white(next(after.frames()))]
    gap = np.full((size[1], 4, 3), 255, np.uint8)
    both = Frame(np.concatenate([sides[0], gap, sides[1]], axis=1), None)
    kept = "" if settings.strip else note
    with written_atomically(path) as file:
        writing.write(file, [both], writing.FORMATS["png"], Beside(), note=kept)
    return [f"beside bicubic: {path}"]


def _on_white(frame: Frame) -> np.ndarray:
    colour, alpha = as_float(frame.colour), frame.alpha
    if alpha is not None:
        share = as_float(alpha)
        colour = colour * share + (1 - share)
    colour = np.repeat(colour, 3, 2) if colour.shape[2] == 1 else colour
    return np.rint(colour * 255).astype(np.uint8)
