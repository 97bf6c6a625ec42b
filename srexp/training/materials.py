"""From photographs to what training needs: pairs, patches, and what is scored. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srexp.data.cache import Made, Progress, cache_of, caching, current, kept, made_by
from srexp.data.patches import DrawnPair, PatchSampler, TrainingPair
from srexp.data.sets import DataError, ImageSet, listed
from srexp.degradations.base import Draw
from srexp.evaluation.scoring import Task
from srexp.images.geometry import modcrop
from srexp.images.quantize import pack
from srexp.models.upscaler import Upscaler, to_network_channels
from srexp.protocol import digest, options_digest
from srexp.training.experiment import Experiment
from srexp.training.memory import keep_freed_memory
from srexp.words import count

# Raised when the same configuration and images come to give other results.
# 2: training images stand in the order of their content, whatever their names.
RESULTS_VERSION = 2


@dataclass
class Materials:
    """Attributes:
    train: The training images that are used.
    sampler: Patches of them.
    validation: What weights are chosen by: one task a protocol, the first decides.
    benchmarks: What is scored at the end.
    remarks: What a person should know.
    """

    train: ImageSet
    sampler: PatchSampler
    validation: list[Task]
    benchmarks: list[Task]
    remarks: list[str]

    @property
    def digest(self) -> str:
        """Of the content of the training and validation images: what decides the weights."""
        return digest([self.train.digest, self.validation[0].images.digest])

    @property
    def nbytes(self) -> int:
        """Of the images that are kept in memory."""
        tasks = {id(task.images): task.images for task in (*self.validation, *self.benchmarks)}
        sets = [self.train, *tasks.values()]
        given = [s.lr for s in sets if s.lr is not None]
        kept = [*self.sampler.pairs, *given, *(s.images for s in sets)]
        return sum(one.nbytes for one in kept)

    def identity(self, config_digest: str) -> str:
        """Equal for runs that give the same weights and the same scores.

        Args:
            config_digest: Of the configuration.
        """
        benchmarks = [task.images.digest for task in self.benchmarks]
        # The last one decides the run's result.
        scored = [sorted(benchmarks), benchmarks[-1:]]
        return digest([config_digest, self.digest, scored, RESULTS_VERSION], digits=16)


def gather(experiment: Experiment, progress: Progress | None = None) -> Materials:
    """Read, degrade and check all images of an experiment; what is much stays in its cache.

    Args:
        experiment: Whose images.
        progress: Told of what is made for the cache.

    Raises:
        DataError: Missing, unreadable or too small images; validation images in a benchmark; a
            cache that cannot be written.
    """
    with caching(cache_of(experiment.paths.data_dir, progress)):
        return _gathered(experiment)


def _gathered(experiment: Experiment) -> Materials:
    keep_freed_memory()
    scale = experiment.degradation.scale
    train, val = experiment.data.load()
    train.check_scale(scale)
    sets = {name: option.load(name) for name, option in experiment.benchmark.items()}
    remarks = [remark for images in (train, val, *sets.values()) for remark in images.remarks]
    remarks += _overlaps(train, val, sets)
    if train.lr is not None:
        remarks.append(
            f"training on LR images as given; {experiment.degradation.label} is for images that "
            "come without"
        )
    # All sizes of patches are cut from the same images.
    side = max(size for size, _ in experiment.trainer.patch_sizes())
    train, skipped = _large_enough(train, side)
    if skipped:
        remarks.append(
            f"{count(len(skipped), 'training image is', 'training images are')} smaller than a "
            f"patch of {side} pixels, so skipped: {listed(skipped)}"
        )

    def tasks(images: ImageSet, *, keep: bool) -> list[Task]:
        return [
            Task(
                images,
                experiment.degradation,
                name,
                protocol,
                metrics=experiment.metric,
                keep=keep,
            )
            for name, protocol in experiment.protocol.items()
        ]

    # Before the training pairs, so that an image that cannot be scored is told at once.
    validation = tasks(val, keep=True)
    if not val.images.nbytes:  # they are in the cache: so are these, made now and not in training
        for task in validation:
            _ = task.cases
    benchmarks = [task for images in sets.values() for task in tasks(images, keep=False)]
    sampler = PatchSampler(
        _pairs(experiment, train),
        scale=scale,
        hr_patch_size=experiment.trainer.hr_patch_size,
        batch_size=experiment.trainer.batch_size,
        augment=experiment.trainer.augment,
        seed=experiment.seed,
        distinct_batches=experiment.trainer.distinct_batches,
        early=experiment.trainer.patch_sizes()[:-1],
        flatness=experiment.trainer.flatness,
    )
    return Materials(train, sampler, validation, benchmarks, remarks)


def _pairs(experiment: Experiment, train: ImageSet) -> Sequence[TrainingPair | DrawnPair]:
    channels = experiment.channels
    protocol, degradation = experiment.pairs
    upscaler = Upscaler(experiment.model, degradation, channels)
    digests, shapes = train.pixel_digests, train.images.shapes
    anew = degradation.random and train.lr is None

    def network_pair(hr: np.ndarray, lr: np.ndarray) -> tuple[np.ndarray, ...]:
        """Inputs and HR as the network has them."""
        hr, lr = (to_network_channels(image, channels) for image in (hr, lr))
        return (*upscaler.prepare(lr), hr)

    def source(name: str) -> np.ndarray:
        """The image itself: often what the network is to make; it need not be kept twice."""
        return modcrop(train.images.packed(name), degradation.scale)

    def made(name: str, hr: np.ndarray, inputs: Sequence[np.ndarray] = ()) -> Made:
        hr = pack(hr)
        same = hr.dtype == source(name).dtype and np.array_equal(hr, source(name))
        arrays = tuple(pack(image) for image in inputs)
        return (arrays if same else (*arrays, hr)), {"same": same}

    def whole(name: str) -> Made:
        # Whole images are degraded, so that no patch has an image edge around it.
        given = train.lr[name] if train.lr is not None else None
        draw = Draw(digests[name])
        hr, lr = protocol.pair(train.images[name], degradation, draw=draw, given=given)
        hr, lr = (to_network_channels(image, channels) for image in (hr, lr))
        return made(name, hr, (lr,) if windows else upscaler.prepare(lr))

    def drawn(name: str) -> Made:
        hr = protocol.works_on(modcrop(train.images[name], degradation.scale))
        return made(name, hr)

    def whole_pair(name: str, inputs: Sequence[np.ndarray], hr: np.ndarray) -> TrainingPair:
        ready = upscaler.prepare_windows(*inputs) if windows else tuple(inputs)
        return TrainingPair(name, ready, hr)

    def drawn_pair(name: str, _: Sequence[np.ndarray], hr: np.ndarray) -> DrawnPair:
        def degrade(hr: np.ndarray, number: int) -> tuple[np.ndarray, ...]:
            draw = Draw(digests[name], number)
            return network_pair(hr, protocol.degraded(hr, degradation, draw))

        reach = degradation.reach
        margin = None if reach is None else -(-reach // degradation.scale) + upscaler.kernel_reach
        return DrawnPair(name, hr, degrade, margin)

    # What is enlarged takes four bytes a sample: of many images it is made again for each patch.
    cache, enlarged = current(), 4 * channels * sum(h * w for h, w, _ in shapes.values())
    windows = cache is not None and enlarged > cache.limit and degradation.engine == "matlab"
    each, pair = (drawn, drawn_pair) if anew else (whole, whole_pair)
    # By content: the same pictures are the same training, whatever their names and folders.
    names = train.by_content
    key = [
        "drawn" if anew else "whole", [train.contents[name] for name in names],
        options_digest(degradation), options_digest(protocol), channels,
        ["windows"] if windows else [*upscaler.model.inputs, upscaler.interpolation],
        made_by(degradation, protocol),
    ]  # fmt: skip
    pairs = []
    for name, (arrays, known) in zip(
        names, kept(key, f"degrading {train.name}", names, each), strict=True
    ):
        hr = source(name) if known["same"] else arrays[-1]
        pairs.append(pair(name, arrays if known["same"] else arrays[:-1], hr))
    return pairs


def _large_enough(images: ImageSet, side: int) -> tuple[ImageSet, list[str]]:
    shapes = images.images.shapes
    fitting = images.images.only(n for n, shape in shapes.items() if min(shape[:2]) >= side)
    skipped = [name for name in images.images if name not in fitting]
    if not fitting:
        raise DataError(
            f"trainer.hr_patch_size={side}: all training images are smaller ({listed(skipped)})"
        )
    some = images.only(*fitting)
    some.remarks = images.remarks
    return some, skipped


def _overlaps(train: ImageSet, val: ImageSet, benchmarks: dict[str, ImageSet]) -> list[str]:
    """Images with the same pixels in two places: an error for validation, a remark for training."""
    remarks = []
    validation = {digest: name for name, digest in val.file_digests.items()}
    training = {digest: name for name, digest in train.file_digests.items()}
    both = sorted(validation[d] for d in validation.keys() & training.keys())
    if both:
        remarks.append(f"val holds training images ({listed(both)}): its score says little")
    for benchmark, images in benchmarks.items():
        digests = set(images.file_digests.values())
        both = sorted(validation[d] for d in validation.keys() & digests)
        if both:
            raise DataError(
                f"benchmark {benchmark}: holds validation images ({', '.join(both)}); weights "
                "chosen by them cannot be scored on it"
            )
        seen = sorted(training[d] for d in training.keys() & digests)
        if seen:
            remarks.append(
                f"benchmark {benchmark} holds training images ({', '.join(seen)}): "
                "its score does not count"
            )
    return remarks
