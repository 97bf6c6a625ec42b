"""Training and validation images (`data=...`), and images to test on (`benchmark=...`)."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from srexp import words
from srexp.data.cache import Made, kept, made_by
from srexp.data.known import known_sets
from srexp.data.names import match_names, one_each
from srexp.data.prepare import PREPARATIONS, prepare
from srexp.data.sets import (
    DataError,
    ImageSet,
    digest_packed,
    images_of,
    listed,
    pictures_in,
    read_folders,
    read_pictures,
    remarks_on,
    unique_tails,
)
from srexp.files import file_name
from srexp.images.io import read_image
from srexp.images.quantize import pack, round_8bit
from srexp.images.resize import resize_matlab
from srexp.options import OptionError, Options, bounded, choice, texts
from srexp.paths import checked, to_path

# Photographs that our dependencies ship: name -> package and file in it. Eight colour scenes;
# motorcycle_left and _right are a stereo pair, one scene, and must stay in one split.
PHOTOS = {
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle_left": ("skimage", "data/motorcycle_left.png"),
    "motorcycle_right": ("skimage", "data/motorcycle_right.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
}


def read_photos(name: str, photos: Iterable[str]) -> ImageSet:
    """Read embedded photographs.

    Raises:
        DataError: Another version of the package no longer ships the file.
    """
    images = {}
    for photo in photos:
        package, file = PHOTOS[photo]
        # Found without importing the package: scikit-learn alone would cost a second.
        spec = importlib.util.find_spec(package)
        path = Path(spec.origin).parent / file if spec and spec.origin else None
        if path is None or not path.is_file():
            raise DataError(f"photograph {photo}: {package} is not installed or no longer ships it")
        images[photo], _ = read_image(path)
    return ImageSet(name, images)


@dataclass(kw_only=True)
class Data(Options, group="data"):
    """Training images, and validation images to choose weights by."""

    def load(self) -> tuple[ImageSet, ImageSet]:
        """Training and validation images; what comes with LR images is trained on those.

        Raises:
            DataError: Missing or unreadable.
        """
        raise NotImplementedError


@dataclass(kw_only=True)
class Photographs(Data):
    """Images of which LR is made.

    Attributes:
        prepare: What is done to each photograph first; see `srexp.data.prepare`.
        prepare_size: Its size in pixels, for `white_square` and `center_crop`.
        rescaled: Copies of the training images to train on as well: made smaller by each of these
            factors, by bicubic interpolation as MATLAB's, in 8 bits. FSRCNN's paper (section 4.1)
            takes 0.9, 0.8, 0.7 and 0.6.
    """

    prepare: str = choice(*PREPARATIONS)
    prepare_size: int = bounded(16, 8192)
    rescaled: list[float] | None = bounded(above=0, high=1, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        factors = self.rescaled or []
        if len(set(factors)) < len(factors) or 1 in factors:
            raise OptionError(
                f"rescaled={self.rescaled}: factors below 1, each of them once; the images "
                "themselves are there anyway",
                "rescaled",
            )

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without `prepare_size` where nothing is resized or cropped; `rescaled` in no order."""
        if isinstance(factors := values.get("rescaled"), list):
            values = {**values, "rescaled": sorted(factors, key=str) or None}
        return {**values, "prepare_size": None} if values.get("prepare") == "native" else values

    def load(self) -> tuple[ImageSet, ImageSet]:
        train, val = self._read()
        return self._with_rescaled(self._prepared(train)), self._prepared(val)

    def _with_rescaled(self, images: ImageSet) -> ImageSet:
        factors = self.rescaled
        if not factors:
            return images
        if images.lr is not None:
            raise DataError(
                f"data.rescaled={self.rescaled}: {images.name} has LR images of its own, which "
                "fit its images as they are; use data.rescaled=null",
                "rescaled",
            )
        copies = {f"{name} x{by:g}": (name, by) for name in images.images for by in factors}

        def make(copy: str) -> Made:
            name, factor = copies[copy]
            image = images.images[name]
            size = (round(factor * image.shape[0]), round(factor * image.shape[1]))
            packed = pack(round_8bit(resize_matlab(image, size, factor=factor)))
            return (packed,), {"digest": digest_packed(packed)}

        of = [images.pixel_digests[name] for name in images.images]
        key = ["rescaled", of, self.rescaled, made_by()]
        made = images_of(copies, kept(key, f"rescaling {images.name}", list(copies), make))
        # A copy stands for the picture that it was made of, where a benchmark may hold this.
        originals = {copy: images.file_digests[name] for copy, (name, _) in copies.items()}
        return ImageSet(
            images.name,
            images.images.joined(made),
            images.remarks,
            {**images.file_digests, **originals},
        )

    def _prepared(self, images: ImageSet) -> ImageSet:
        if images.lr is not None and self.prepare != "native":
            raise DataError(
                f"data.prepare={self.prepare}: {images.name} has LR images of its own, which fit "
                "its images as they are; use data.prepare=native",
                "prepare",
            )
        if self.prepare == "native":
            prepared = images.images
        else:

            def make(name: str) -> Made:
                packed = pack(prepare(images.images[name], self.prepare, self.prepare_size))
                return (packed,), {"digest": digest_packed(packed)}

            names = list(images.images)
            of = [images.pixel_digests[name] for name in names]
            key = ["prepared", of, self.prepare, self.prepare_size, made_by()]
            prepared = images_of(names, kept(key, f"preparing {images.name}", names, make))
        return ImageSet(images.name, prepared, images.remarks, images.pixel_digests, images.lr)

    def _read(self) -> tuple[ImageSet, ImageSet]:
        raise NotImplementedError


@dataclass(kw_only=True)
class Photos(Photographs, name="photos"):
    """The embedded photographs.

    Attributes:
        train: Names of the training photographs.
        val: Names of the validation photographs.
    """

    train: list[str] = choice(*PHOTOS)
    val: list[str] = choice(*PHOTOS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.train or not self.val:
            raise OptionError("train and val: must each name at least one photograph", "train")

    def _read(self) -> tuple[ImageSet, ImageSet]:
        return read_photos("train", self.train), read_photos("val", self.val)


@dataclass(kw_only=True)
class Folder(Photographs, name="folder"):
    """Folders of pictures.

    Attributes:
        train_dir: One folder or several.
        val_dir: A folder of validation pictures; None for a seeded split of the training ones.
        val_fraction: Of the training pictures, for that split; at least one picture.
        split_seed: Of the split: not the run's seed, so that seeds can be compared.
        expected_images: How many pictures `train_dir` must hold; None for any number.
        exclude: Names of pictures in `train_dir` that are left out.
        val_photos: Embedded photographs to validate on, in place of a split.
    """

    train_dir: Any = texts()
    val_dir: str | None
    val_fraction: float = bounded(above=0, high=0.9)
    split_seed: int = bounded(0)
    expected_images: int | None = bounded(1)
    exclude: list[str] = field(default_factory=list)
    val_photos: list[str] = field(default_factory=list, metadata={"choices": tuple(PHOTOS)})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val_photos and self.val_dir is not None:
            raise OptionError(
                f"val_dir={self.val_dir}: val_photos says already what is validated on; set "
                "data.val_photos=[]",
                "val_dir",
            )
        if isinstance(self.train_dir, str):
            self.train_dir = [self.train_dir]
        if not isinstance(self.train_dir, list) or not self.train_dir:
            raise OptionError(
                f"train_dir={self.train_dir}: must name a folder (data.train_dir=FOLDER)",
                "train_dir",
            )

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without `expected_images`, a check, and without the split where there is none."""
        chosen = values.get("val_dir") is not None or values.get("val_photos")
        split = {"val_fraction": None, "split_seed": None} if chosen else {}
        return super().usual({**values, "expected_images": None, **split})

    def _read(self) -> tuple[ImageSet, ImageSet]:
        folders = [checked("data.train_dir", folder) for folder in self.train_dir]
        try:
            images = read_folders("train", folders, expected=self.expected_images)
        except DataError as error:
            raise DataError(f"data.train_dir: {error}", "train_dir") from None
        if self.exclude:
            images = self._without_excluded(images)
        if self.val_photos:
            return images, read_photos("val", self.val_photos)
        if self.val_dir is not None:
            try:
                return images, read_folders("val", [checked("data.val_dir", self.val_dir)])
            except DataError as error:
                raise DataError(f"data.val_dir: {error}", "val_dir") from None
        if len(images.images) < 2:
            raise DataError(
                "data.train_dir: one picture cannot be split into training and validation; "
                "add pictures or set data.val_dir",
                "train_dir",
            )
        return split(images, self.val_fraction, self.split_seed)

    def _without_excluded(self, images: ImageSet) -> ImageSet:
        missing = [name for name in self.exclude if name not in images.images]
        if missing:
            raise DataError(
                f"data.exclude={listed(missing)}: no picture of this name in data.train_dir",
                "exclude",
            )
        kept = [name for name in images.images if name not in self.exclude]
        if not kept:
            raise DataError("data.exclude: leaves no picture to train on", "exclude")
        train = images.only(*kept)
        train.remarks = images.remarks
        return train


def split(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and validation images of one set, at least one of each.

    Args:
        images: Two or more.
        fraction: Of them for validation.
        seed: Of the choice.
    """
    # By content, so that the same pictures are split alike whatever their names.
    names = images.by_content
    count = min(len(names) - 1, max(1, round(len(names) * fraction)))
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(names))
    chosen = {names[i] for i in order[:count]}
    train = images.only(*(name for name in images.images if name not in chosen))
    train.remarks = images.remarks
    val = images.only(*(name for name in images.images if name in chosen))
    val.name = "val"
    return train, val


def read_pairs(name: str, folders: tuple[str, str], keys: tuple[str, str]) -> ImageSet:
    """HR images and the LR images that somebody else made of them, file by file.

    See `srexp.data.names` for how files are matched.

    Args:
        name: Of the set.
        folders: Of HR and of LR images.
        keys: What the two are called in messages.

    Raises:
        DataError: Missing or unreadable files, a file without its partner, other channels.
    """
    hr_dir, lr_dir = (to_path(folder) for folder in folders)
    hr_key, lr_key = keys
    hr = read_folders(name, [hr_dir])
    found = match_names(list(hr.images), pictures_in(lr_dir))
    lr_files = one_each(found, lr_key)
    if found[""]:
        orphans = listed([path.name for path in found[""]])
        raise DataError(f"{hr_key}: no picture for {orphans} in {lr_key}")
    remarks: list[str] = []
    lr = read_pictures(f"LR of {name}", lr_files, remarks)
    remarks += remarks_on(lr_dir)
    shapes = hr.images.shapes
    for image, low in lr.shapes.items():
        if low[2] != shapes[image][2]:
            raise DataError(
                f"{image} has {shapes[image][2]} channels in {hr_key} and {low[2]} in {lr_key}"
            )
    return ImageSet(name, hr.images, hr.remarks + remarks, lr=lr)


@dataclass(kw_only=True)
class Pairs(Data, name="pairs"):
    """Folders of HR images and of LR images that somebody else made of them.

    LR is taken as it is; each HR image is `degradation.scale` times as large, or up to scale - 1
    pixels more, which are cut off as always.

    Attributes:
        hr_dir: The folder of HR images.
        lr_dir: The folder of LR images, one for each.
        val_hr_dir: A folder of HR validation images; None for a seeded split of the pairs.
        val_lr_dir: Of their LR images.
        val_fraction: Of the pairs, for that split; at least one.
        split_seed: Of the split: not the run's seed, so that seeds can be compared.
    """

    hr_dir: str | None
    lr_dir: str | None
    val_hr_dir: str | None
    val_lr_dir: str | None
    val_fraction: float = bounded(above=0, high=0.9)
    split_seed: int = bounded(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted = ["hr_dir", "lr_dir"]
        if self.val_hr_dir is not None or self.val_lr_dir is not None:
            wanted += ["val_hr_dir", "val_lr_dir"]
        for key in wanted:
            if not getattr(self, key):
                raise OptionError(f"{key}=null: must name a folder (data.{key}=DIR)", key)
            checked(key, getattr(self, key))

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without the split where there is none."""
        if values.get("val_hr_dir") is None:
            return values
        return {**values, "val_fraction": None, "split_seed": None}

    def load(self) -> tuple[ImageSet, ImageSet]:
        pairs = read_pairs(
            "train", (str(self.hr_dir), str(self.lr_dir)), ("data.hr_dir", "data.lr_dir")
        )
        if self.val_hr_dir is not None:
            return pairs, read_pairs(
                "val",
                (self.val_hr_dir, str(self.val_lr_dir)),
                ("data.val_hr_dir", "data.val_lr_dir"),
            )
        if len(pairs.images) < 2:
            raise DataError(
                "data.hr_dir: one pair cannot be split into training and validation; add pairs "
                "or set data.val_hr_dir and data.val_lr_dir",
                "hr_dir",
            )
        return split(pairs, self.val_fraction, self.split_seed)


@dataclass(kw_only=True)
class Benchmark(Options, group="benchmark"):
    """Images that are only ever scored on."""

    def named(self, key: str) -> dict[str, Benchmark]:
        """The image sets that it holds, each under what tables, files and metrics call it.

        Args:
            key: Under which it stands among the benchmarks.
        """
        return {key: self}

    def load(self, name: str) -> ImageSet:
        """The images, under the name that tables print.

        Raises:
            DataError: Missing or unreadable.
        """
        raise NotImplementedError


@dataclass(kw_only=True)
class PhotosBenchmark(Benchmark, name="photos"):
    """Embedded photographs that the default training does not see."""

    photos: list[str] = choice(*PHOTOS)

    def load(self, name: str) -> ImageSet:
        return read_photos(name, self.photos)


def words_for(name: str) -> str:
    """What is typed to score on the image set of that name: `benchmark=set5`."""
    if name == "photos" or name in known_sets():
        return f"benchmark={name}"
    kind = "pairs" if name.split("-")[0] == "pairs" else "folder"
    keys = ("hr_dir", "lr_dir") if kind == "pairs" else ("dir",)
    folders = " ".join(f"benchmark.{kind}.{key}=DIR" for key in keys)
    plain = re.fullmatch(r"[\w.\-]+", name, re.ASCII)
    title = f"benchmark.{kind}.title=" + (name if plain else "'" + name.replace("'", "\\'") + "'")
    return f"benchmark={kind} {folders} {shlex.quote(title)}"


@dataclass(kw_only=True)
class OwnBenchmark(Benchmark):
    """A set of the user's.

    Attributes:
        title: What tables, files and metrics call it, or a list for several; None for the name
            of its folder.
    """

    title: Any = texts(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for title in self.title if isinstance(self.title, list) else [self.title]:
            if title is not None and (
                not isinstance(title, str) or not title or file_name(title, 60) != title
            ):
                raise OptionError(
                    f"title={title}: must be a name of at most 60 bytes that a folder may have",
                    "title",
                )
            if title in ("train", "val", "photos", *known_sets()):
                raise OptionError(f"title={title}: is the name of another set", "title")

    def _titles(self, folders: list[str]) -> list[str]:
        """Of folders: those given, else by the end of the path that sets them apart."""
        if self.title is not None:
            titles = self.title if isinstance(self.title, list) else [self.title]
            if len(titles) != len(folders):
                raise OptionError(
                    f"title={self.title}: {len(titles)} for {words.count(len(folders), 'folder')}",
                    "title",
                )
            return titles
        tails = unique_tails([to_path(folder) for folder in folders], whole=True)
        return [file_name(f"{self.name}-{tail.replace('/', '-')}", 60) for tail in tails]

    def _at(self, name: str, key: str = "") -> str:
        """How messages begin that are of the set of that name."""
        return f"benchmark {name}" if self.title else f"benchmark.{name}{key}"


@dataclass(kw_only=True)
class FolderBenchmark(OwnBenchmark, name="folder"):
    """A folder of HR images, or several, each a set of its own.

    Attributes:
        dir: The folder; a list for several.
        expected_images: How many pictures it must hold; None for any number.
        expected_digest: Of their pixels (`ImageSet.digest`); None for any content. Other
            content is scored too, with a remark: its numbers are not the published set's.
    """

    absent: ClassVar[dict[str, Any]] = {"expected_images": None, "expected_digest": None}

    dir: Any = texts()
    expected_images: int | None = bounded(1)
    expected_digest: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        folders = self.dir if isinstance(self.dir, list) else [self.dir]
        if not folders or not all(folders):
            given = "null" if self.dir is None else self.dir
            raise OptionError(f"dir={given}: must name a folder of HR images", "dir")
        for folder in folders:
            checked("dir", folder)

    def named(self, key: str) -> dict[str, Benchmark]:
        if key != self.name and self.title is None and isinstance(self.dir, str):
            return {key: self}  # of the YAML's own name, as set5
        folders = self.dir if isinstance(self.dir, list) else [self.dir]
        titles = self._titles([str(folder) for folder in folders])
        places = {to_path(folder).resolve() for folder in folders}
        if len(places) < len(folders) or len(set(titles)) < len(titles):
            raise OptionError(f"dir={self.dir}: one folder, or one name, is given twice", "dir")
        return {
            title: replace(self, dir=folder, title=title)
            for title, folder in zip(titles, folders, strict=True)
        }

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without the checks."""
        return {**values, "expected_images": None, "expected_digest": None}

    def load(self, name: str) -> ImageSet:
        assert self.dir is not None
        try:
            images = read_folders(name, [to_path(self.dir)], expected=self.expected_images)
        except DataError as error:
            raise DataError(f"{self._at(name, '.dir')}: {error}") from None
        if self.expected_digest is not None and images.digest != self.expected_digest:
            images.remarks.append(
                f"{self.dir} does not hold the published {name}: its pixels differ (digest "
                f"{images.digest}, published {self.expected_digest})"
            )
        return images


@dataclass(kw_only=True)
class PairsBenchmark(OwnBenchmark, name="pairs"):
    """HR images and the LR images that somebody else made of them, file by file.

    LR is taken as it is; as `Pairs`.

    Attributes:
        hr_dir: The folder of HR images.
        lr_dir: The folder of LR images, one for each.
    """

    hr_dir: str | None
    lr_dir: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("hr_dir", "lr_dir"):
            if not getattr(self, key):
                raise OptionError(f"{key}=null: must name a folder", key)
            checked(key, getattr(self, key))

    def named(self, key: str) -> dict[str, Benchmark]:
        if key != self.name and self.title is None:
            return {key: self}
        (title,) = self._titles([str(self.hr_dir)])
        return {title: replace(self, title=title)}

    def load(self, name: str) -> ImageSet:
        folders = str(self.hr_dir), str(self.lr_dir)
        try:
            return read_pairs(name, folders, ("hr_dir", "lr_dir"))
        except DataError as error:
            raise DataError(f"{self._at(name)}: {error}") from None
