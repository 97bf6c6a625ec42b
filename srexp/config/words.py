"""Words of other programs, and what one types here instead."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from srexp.config import COMMANDS
from srexp.config.catalogue import SEVERAL, Catalogue, Group, catalogue, commands_with


@dataclass(frozen=True)
class Word:
    """What a word is called here.

    Attributes:
        keys: A key or a group; several, of which a command has one.
        example: A value that works, where theirs does not fit or none was given.
        why: What is different here.
        keeps: Whether a value that was given fits ours.
    """

    keys: str
    example: str
    why: str = ""
    keeps: bool = True

    def key(self, known: Catalogue) -> str | None:
        """The first of its keys that the command has."""
        every = known.every_key + (["hydra.launcher.n_jobs"] if known.command == "train" else [])
        return next((key for key in self.keys.split() if key in every), None)


_EPOCHS = (
    "training is counted in steps of trainer.batch_size patches, and a dry run says how many "
    "passes over the images they are"
)
_DEVICES = (
    "the first GPU is used where there is one; CUDA_VISIBLE_DEVICES=1 before the command makes it "
    "GPU 1, CUDA_VISIBLE_DEVICES= the CPU. For all GPUs at once"
)
_WORKERS = "images are read once, before the training; CPU threads"
_LOGGERS = "runs are shown in MLflow"
_SETS = "pictures of yours"

# Their words -> ours, without the groups, options and keys that are called the same here.
_TABLE: dict[str, Word] = {
    "lr learning_rate base_lr init_lr initial_lr": Word("optimizer.learning_rate", "1e-4"),
    "epoch epochs num_epochs n_epochs max_epochs nb_epochs total_epochs": Word(
        "trainer.steps", "500", _EPOCHS, keeps=False
    ),
    "iter iters iterations num_iter n_iter niter max_iter max_steps num_steps steps": Word(
        "trainer.steps", "500"
    ),
    "scale scale_factor upscale upscale_factor upscaling upsample sf": Word(
        "degradation.scale", "4"
    ),
    "interpolation interp resample downsampling downsample": Word(
        "degradation.interpolation", "lanczos"
    ),
    "noise sigma noise_sigma noise_level": Word("degradation.links.noise.sigma", "15"),
    "blur blur_sigma": Word("degradation.links.blur.sigma", "1.6"),
    "jpeg_quality quality": Word("degradation.links.jpeg.quality", "75"),
    "activation activation_function act_fn act_func nonlinearity": Word("act", "relu"),
    "optim opt solver": Word("optimizer", "adam"),
    "criterion loss_fn loss_function objective": Word("loss", "mae"),
    "network net arch architecture backbone method": Word("model", "deconv"),
    "scheduler lr_scheduler lr_schedule sched": Word("schedule", "cosine"),
    "warmup warmup_epochs warmup_iter": Word(
        "schedule.warmup_steps", "50", "counted in steps", keeps=False
    ),
    "batch batchsize bs train_batch_size": Word("trainer.batch_size", "16"),
    "patch patch_size patchsize crop crop_size gt_size hr_size image_size img_size": Word(
        "trainer.hr_patch_size", "48", "the side of a patch of HR"
    ),
    "depth layers num_layers n_layers num_blocks n_blocks": Word("model.depth", "7"),
    "filters num_filters n_filters nf features num_features n_feats width channels": Word(
        "model.filters", "32"
    ),
    "kernel kernel_size ksize": Word("model.kernel_size", "3"),
    "device devices gpu gpu_id gpu_ids cuda cpu use_gpu use_cuda no_cuda accelerator": Word(
        "trainer.strategy", "mirrored", _DEVICES, keeps=False
    ),
    "gpus num_gpus n_gpus ngpu ngpus distributed ddp": Word(
        "trainer.strategy", "mirrored", "all GPUs of this machine", keeps=False
    ),
    "workers num_workers n_workers num_threads n_threads cpus": Word(
        "trainer.threads", "2", _WORKERS
    ),
    "jobs n_jobs njobs": Word(
        "hydra.launcher.n_jobs", "2", "with -m, so many runs at the same time"
    ),
    "fp16 amp half mixed precision": Word("trainer.mixed_precision", "true", keeps=False),
    "xla jit compile": Word("trainer.jit_compile", "true", keeps=False),
    "val_every eval_freq val_freq eval_interval val_interval save_every save_freq save_interval "
    "checkpoint_every log_every print_freq": Word(
        "trainer.eval_every", "100", "steps between evaluations, each with a checkpoint"
    ),
    "early_stop early_stopping": Word(
        "trainer.patience", "5", "evaluations without a better score", keeps=False
    ),
    "max_time time_limit": Word("trainer.max_minutes", "60", "minutes", keeps=False),
    "augmentation aug flip rotate": Word("trainer.augment", "true", keeps=False),
    "clip grad_clip clip_grad clipnorm max_grad_norm gradient_clip_val": Word(
        "optimizer.clip_norm", "0.1"
    ),
    "accumulate_grad_batches grad_accum accumulation_steps gradient_accumulation_steps": Word(
        "optimizer.accumulate", "4"
    ),
    "wd decay": Word("optimizer.weight_decay", "1e-4"),
    "random_seed manual_seed rng_seed": Word("seed", "0"),
    "colour colors color_space channel": Word("color", "y", "rgb or y", keeps=False),
    "dataset dataset_name datasets train_set train_data data_root dataroot image_dir": Word(
        "data.train_dir", "DIR", _SETS
    ),
    "test test_set testset test_data test_dir eval_set benchmarks": Word("benchmark", "set5"),
    "metrics": Word("metric", "ms_ssim"),
    "save_dir save_path out out_dir output outdir log_dir logdir work_dir results_dir "
    "checkpoint_dir ckpt_dir exp_dir": Word("paths.output_dir", "DIR"),
    "pretrained pretrain finetune load load_weights init init_weights checkpoint ckpt "
    "weights": Word("init_from run", "latest", "weights are those of a run", keeps=False),
    "resume_from continue restore": Word("resume", "latest", "a run to go on with", keeps=False),
    "wandb weights_and_biases comet neptune logger tensorboard tb": Word(
        "tracking", "mlflow", _LOGGERS, keeps=False
    ),
}
WORDS = {word: meaning for words, meaning in _TABLE.items() for word in words.split()}

# Options that say nothing alone: they want a folder or a file.
_NEEDING = ("folder", "pairs", "lpips")
# Options that are called otherwise elsewhere.
OPTIONS = {
    "loss": {"l1": "mae", "l2": "mse", "smooth_l1": "huber", "l1_charbonnier": "charbonnier"},
    "act": {
        "swish": "silu",
        "lrelu": "leaky_relu",
        "leakyrelu": "leaky_relu",
        "leaky": "leaky_relu",
    },
    "optimizer": {"momentum": "sgd"},
    "schedule": {"cosine_annealing": "cosine", "multistep": "step", "none": "constant"},
    "benchmark": {"b100": "bsd100", "manga": "manga109", "urban": "urban100"},
    "protocol": {"y": "y_paper", "ycbcr": "y_paper", "luma": "y_paper"},
}


def option_meant(group: Group, value: str) -> str | None:
    """The option of a group that a value names, maybe by another name; None for none."""
    plain = value.lower().replace("-", "_")
    plain = OPTIONS.get(group.name, {}).get(plain, plain)
    return plain if plain in group.options else None


@dataclass(frozen=True)
class Meaning:
    """What somebody meant.

    Attributes:
        key: A key or a group.
        typed: Overrides that say it.
        why: What is different here, or empty.
        either: Whether one of the overrides is enough.
    """

    key: str
    typed: tuple[str, ...]
    why: str = ""
    either: bool = False

    def __str__(self) -> str:
        typed = (" or " if self.either else " ").join(shlex.quote(word) for word in self.typed)
        return f"{self.why}: type {typed}" if self.why else f"type {typed}"


def meant(word: str, value: str, known: Catalogue) -> Meaning | None:
    """What a word without a dot means, and what to type; None for a word that says nothing.

    Args:
        word: As somebody typed it, lower case with `_`: `lr`, `patch_size`, `relu`.
        value: What was given with it, or empty.
        known: The command's groups and keys.
    """
    if word in known.groups or word in known.keys:
        return _said(word, value, known)
    if word in WORDS:
        entry = WORDS[word]
        if word in ("dataset", "dataset_name", "datasets", "test_set", "testset") and value:
            for name in ("data", "benchmark"):
                group = known.groups.get(name)
                if group is not None and option_meant(group, value):
                    return _said(name, value, known)
        if (key := entry.key(known)) is not None:
            return _said(key, value if entry.keeps else "", known, entry)
    if not value:
        chosen = groups_with(word, known)
        if chosen:
            return Meaning(chosen[0].split("=")[0], tuple(chosen), either=True)
    path = _path(word, known)
    return _said(path, value, known) if path else None


def _path(name: str, known: Catalogue) -> str | None:
    """The key that ends in a name, of an option that is chosen by default if there are several."""
    found: dict[str, bool] = {}
    for group in known.groups.values():
        for option in group.options.values():
            for key in option.keys:
                if key.name == name:
                    found[key.path] = found.get(key.path, False) or option.name in group.default
    by_default = [path for path, default in found.items() if default]
    return by_default[0] if by_default else next(iter(found)) if len(found) == 1 else None


def elsewhere(word: str, command: str) -> str | None:
    """Where another command has what a word means: `optimizer.learning_rate of srexp train`."""
    entry = WORDS.get(word)
    for other in COMMANDS:
        known = catalogue(other)
        key = word if word in known.keys or entry is None else entry.key(known)
        if other != command and key in known.every_key:
            return f"{key} is of srexp {other}"
    return None


def _said(key: str, value: str, known: Catalogue, entry: Word | None = None) -> Meaning:
    why = entry.why if entry else ""
    example = entry.example if entry else _default(known, key)
    group = known.groups.get(key)
    if group is not None:
        parts = value.strip("[]").split(",")
        values = [option_meant(group, part) for part in parts]
        if all(values):
            listed = ",".join(str(v) for v in values)
            value = f"[{listed}]" if value.startswith("[") and key in SEVERAL else listed
        else:
            choices = list(group.options)
            value = example if example in choices else [*group.default, *choices][0]
            why = "; ".join(part for part in (why, f"{key} is one of {', '.join(choices)}") if part)
        return Meaning(key, (*_swept(value), f"{key}={value}"), why)
    if not value and example == "false":  # `--dry-run`
        value = "true"
    override = f"{key}={value or example}"
    needed, without = _needed(key, known)
    why = "; ".join(part for part in (why, without) if part)
    return Meaning(key, (*_swept(value), *needed, override), why)


def _swept(value: str) -> tuple[str, ...]:
    """The flag that several values want."""
    return ("-m",) if "," in value and value[0] not in "[{'\"" else ()


def _needed(key: str, known: Catalogue) -> tuple[tuple[str, ...], str]:
    """The option that has a key, where the chosen one has it not; and what that one has."""
    group = known.groups.get(key.split(".")[0])
    if group is None:
        return (), ""
    having = [o.name for o in group.options.values() if any(k.path == key for k in o.keys)]
    if not having or set(having) & set(group.default):
        return (), ""
    plain = (name for name in having if group.options[name].implementation == name)
    first = next(plain, having[0])  # rather than a preset
    chosen = [group.options[name] for name in group.default if name in group.options]
    names = [k.name for option in chosen for k in option.keys]
    without = f"{group.name}={group.default[0]} has {', '.join(names)}" if names else ""
    return (f"{group.name}={first}",), without


def _default(known: Catalogue, key: str) -> str:
    if key in known.keys:
        return known.keys[key].default
    for group in known.groups.values():
        for option in group.options.values():
            for other in option.keys:
                if other.path == key:
                    return other.default
    return "VALUE"


# The command line, before Hydra reads it.


def advice(
    command: str, arguments: Sequence[str], flags: Mapping[str, bool], known: Catalogue
) -> str | None:
    """One line for an argument that is none of ours but whose meaning is clear, or None.

    Args:
        command: `train`, `evaluate` or `reproduce`.
        arguments: Of the command.
        flags: Hydra's, and whether each takes a value.
        known: The command's groups and keys.
    """
    known = known.as_chosen(arguments)
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        message = None
        if argument.startswith("-"):
            # As argparse has it, the beginning of a long flag will do.
            fitting = [f for f in flags if f == name or (name[:2] == "--" and f.startswith(name))]
            if not fitting:
                following = "" if equals else next(iter(rest), "")
                if following[:1] not in ("", "-", "~") and "=" not in following:
                    value = following
                    argument = f"{name} {value}"
                return _of_flag(argument, name, value, command, known)
            if flags[fitting[0]] and not equals:
                rest = rest[1:]
        elif argument.startswith("~"):
            message = _of_deletion(name[1:], known)
        elif re.fullmatch(r"[\w-]+", name):
            message = _of_word(argument, name, value if equals else None, command, known)
        if message is not None:
            return message
    return None


def _of_flag(shown: str, flag: str, value: str, command: str, known: Catalogue) -> str:
    word = flag.lstrip("-").replace("-", "_").lower()
    if "." in word and word in known.every_key:
        meaning: Meaning | None = _said(word, value, known)
    else:
        meaning = meant(word.rsplit(".", 1)[-1], value, known)
    hint = meaning or elsewhere(word, command) or f"srexp {command} --help says what there is"
    return f"{shown}: no such flag; a setting is KEY=VALUE, without dashes; {hint}"


def _of_word(
    argument: str, word: str, value: str | None, command: str, known: Catalogue
) -> str | None:
    if value is not None and (word in known.groups or word in known.keys):
        return _of_null(argument, word, known) if value.strip().lower() == "null" else None
    if word in known.inner:
        return f"{argument}: {_inside(known.inner[word], value or '', known)}"
    plain = word.lower().replace("-", "_")
    meaning = meant(plain, value or "", known)
    if meaning is None and plain not in WORDS and commands_with(plain):
        return None  # a group of another command
    if meaning is None:
        where = elsewhere(plain, command)
        return f"{argument}: no key of srexp {command}; {where}" if where else None
    return f"{argument}: {'no such key' if value is not None else 'must be KEY=VALUE'}; {meaning}"


def _of_null(argument: str, word: str, known: Catalogue) -> str | None:
    """What to type for a group that somebody wants to have none of."""
    if word not in known.groups:
        return None
    instead = _of_deletion(word, known) or f": no option of {word} is called so; leave it out"
    return argument + instead.removeprefix(f"~{word}")


def _inside(inner: Group, value: str, known: Catalogue) -> str:
    """What to type for an option that stands inside another one: `link=jpeg`."""
    outer = known.groups[inner.place.split(".")[0]]
    having = {name for name, option in outer.options.items()
              if any(part.group == inner.name for part in option.parts)}  # fmt: skip
    plain = (name for name in sorted(having) if outer.options[name].implementation == name)
    chosen = "" if having & set(outer.default) else f"{outer.name}={next(plain)} "
    option = option_meant(inner, value) or next(iter(inner.options))
    listed = "" if option_meant(inner, value) else f", and one of {', '.join(inner.options)}"
    place = inner.place.removesuffix(".NAME")
    named = "" if place == inner.place else ", under a name of yours"
    typed = inner.typed.removesuffix("NAME") + ("more" if named else "")
    return f"a {inner.name} stands in {place}{named}{listed}; type {chosen}{typed}={option}"


def _of_deletion(key: str, known: Catalogue) -> str | None:
    group = known.groups.get(key)
    if group is None:
        parts = (
            f"{group.name}.{part.place}"
            for group in known.groups.values()
            for option in group.options.values()
            for part in option.parts
        )
        if key in known.every_key and key not in parts:
            return f"~{key}: no key can be left out; leave ~{key} out to keep the default"
        return None
    if "none" in group.options:
        return f"~{key}: type {key}=none"
    if key in ("benchmark", "metric"):
        return f"~{key}: type {key}=[]"
    if not group.default:
        return None
    return (
        f"~{key}: cannot be left out; choose one of {', '.join(group.options)}: "
        f"type {key}={group.default[0]}"
    )


def of_key(key: str, having: Iterable[str], value: str, known: Catalogue) -> Meaning | None:
    """What a dotted key that does not exist may mean: `trainer.lr`, `model.scale`.

    Args:
        key: As it was typed.
        having: The keys beside which it was looked for.
        value: What was given.
        known: The command's groups and keys.
    """
    if key in ("data.dir", "data.folder", "data.path", "data.root"):
        return _said("data.train_dir", value, known)
    meaning = meant(key.rsplit(".", 1)[-1].lower(), value, known)
    if meaning is None or meaning.key == key:
        return None
    own = meaning.key.rsplit(".", 1)[0] == key.rsplit(".", 1)[0]
    return None if own and meaning.key.rsplit(".", 1)[-1] not in set(having) else meaning


def groups_with(word: str, known: Catalogue) -> list[str]:
    """`loss=mae` for each group with an option of that name, or one that is called so elsewhere."""
    return [
        f"{group.name}={option}"
        for group in known.groups.values()
        if (option := option_meant(group, word)) not in (None, *_NEEDING)
    ]
