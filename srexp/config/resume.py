"""Going on with a run: its own configuration, with the few keys that may change. Or from one."""

from __future__ import annotations

import copy
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from srexp.config.catalogue import SEVERAL
from srexp.config.compose import compose
from srexp.config.effect import is_folder
from srexp.config.identity import deciding, sources, usual, with_additions
from srexp.config.settings import with_folders
from srexp.options import OptionError, flatten
from srexp.paths import checked, to_path
from srexp.tracking.record import RunError, RunFolder, find_run
from srexp.training import bundled, checkpoint
from srexp.training.materials import RESULTS_VERSION
from srexp.words import count

# Keys that decide what is to come and nothing that has been.
MAY_CHANGE = ("trainer.steps", "trainer.patience", "trainer.min_delta")


def _name_first(key: str) -> tuple[bool, str]:
    return not key.endswith(".name"), key


def resumed(run: RunFolder, composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The configuration to go on with.

    Args:
        run: The run to continue.
        composed: What the command line composed, on top of today's defaults.
        overrides: The command line's own overrides; only they are looked at.

    Returns:
        The run's stored configuration, with the allowed changes.

    Raises:
        AlreadyFinished: Nothing is left to do.
        OptionError: An override would change the past, its images are gone, it is running, or it
            cannot go on as it began.
    """
    stored = with_additions(run.config)
    _check_keys(run, stored, overrides)
    values = _with_asked(stored, composed, overrides)
    _check_past(run, stored, values)
    values = _moved(values, stored["paths"]["data_dir"], composed["paths"]["data_dir"])
    done = int(run.info.get("progress", {}).get("step", 0))
    if values["trainer"]["steps"] < done:
        raise OptionError(
            f"trainer.steps={values['trainer']['steps']}: run {run.id} has done "
            f"{count(done, 'step')} already; it can only grow"
        )
    if run.info["status"] == "FINISHED" and values["trainer"]["steps"] == done:
        raise AlreadyFinished(
            f"resume={run.id}: it is finished, all of its {count(done, 'step')}; "
            "trainer.steps=N with more steps trains on"
        )
    if run.alive:
        raise OptionError(f"resume={run.id}: it is running now (process {run.info['pid']})")
    _check_code(run, values)
    return values


class AlreadyFinished(OptionError):
    """What is asked is done: no fault, so that the same line may be typed, or queued, again."""


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~").split("@")[0].replace("/", ".")


def _check_keys(run: RunFolder, stored: dict[str, Any], overrides: list[str]) -> None:
    """Raises OptionError: What was typed is no key of the run's options."""
    known = flatten(stored)
    for key in map(_key, overrides):
        if "." in key and not any(name == key or name.startswith(f"{key}.") for name in known):
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(f"{key}: run {run.id} has no such key{hint}", key)


def _with_asked(
    stored: dict[str, Any], composed: dict[str, Any], overrides: list[str]
) -> dict[str, Any]:
    """The stored configuration with what was typed."""
    values = copy.deepcopy(stored)
    before, asked = flatten(stored), flatten(composed)
    for key in map(_key, overrides):
        if key == "tracking":
            values[key] = composed[key]  # another option has other keys
            continue
        for name in sorted(asked.keys() | before.keys()):
            if name != key and not name.startswith(f"{key}.") and key != "experiment":
                continue
            if name == "schedule.steps" and key != name:
                continue  # it follows trainer.steps in a new run; here it stays as it was
            if is_folder(name) and asked.get(name) is None and key != name:
                continue  # data=folder says nothing of data.val_dir
            if asked.get(name) != before.get(name):
                _set(values, name, asked.get(name))
        if key in SEVERAL and isinstance(values.get(key), dict):  # in the order that was typed
            order = dict.fromkeys(composed.get(key) or ()) | dict.fromkeys(values[key])
            values[key] = {name: values[key][name] for name in order}
    return values


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for key in path:
        values = values.setdefault(key, {})
    values[last] = value


def _check_past(run: RunFolder, stored: dict[str, Any], values: dict[str, Any]) -> None:
    """Raises OptionError: Something is to be other than it was, and may not be."""
    before, asked = deciding(stored), deciding(values)
    for name in sorted(asked, key=_name_first):
        if name in MAY_CHANGE or asked[name] == before.get(name):
            continue
        raise OptionError(
            f"{name}={asked[name]}: run {run.id} began with {before.get(name)}, and changing it "
            "would change its past; leave it out, or start a new run without resume"
        )


def _check_code(run: RunFolder, values: dict[str, Any]) -> None:
    """Raises OptionError: The code that trains is no longer what it was when the run began."""
    if not checkpoint.exist(run.checkpoints):
        return  # it begins anew
    again = f"a new run can start from its weights: python -m srexp train {run.typed('init_from')}"
    version = run.info.get("results_version", 1)
    if version != RESULTS_VERSION:
        age = "an older" if version < RESULTS_VERSION else "a newer"
        raise OptionError(
            f"resume={run.id}: was begun by {age} srexp, which would go on to other weights "
            f"(results version {version}, here {RESULTS_VERSION}); {again}"
        )
    before, now = run.info.get("sources", {}), sources(values)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise OptionError(
                f"resume={run.id}: the code of {key}={_name_of(usual(values), key)} was changed "
                f"since it began, and would go on to other weights; {again}"
            )


def _name_of(values: dict[str, Any], key: str) -> Any:
    """Of the option that stands there: `model` -> `espcn`."""
    node = values
    for part in key.split("."):
        node = node[part]
    return node["name"]


def check_folders(run: RunFolder, values: dict[str, Any]) -> None:
    """Raises OptionError: A folder of images of a run to go on with is gone; how to name it now."""
    for key, folders in flatten(values).items():
        if not is_folder(key) or key.startswith("paths."):
            continue
        for folder in folders if isinstance(folders, list) else [folders]:
            if folder and not to_path(folder).exists():
                several = isinstance(folders, list) and len(folders) > 1
                now = shlex.quote(f"{key}={'[DIR,DIR]' if several else 'DIR'}")
                raise OptionError(
                    f"{key}={folder}: no such folder. If the images lie elsewhere now: python -m "
                    f"srexp train {run.typed('resume')} {now}"
                )


def _moved(values: dict[str, Any], before: str, now: str) -> dict[str, Any]:
    """With the folders that were below the data folder `before` in that of today.

    Where `paths.data_dir` was not typed, a folder that is still where it was stays there.
    """
    typed = values["paths"]["data_dir"] != before

    def move(folder: str) -> str:
        if folder != before and not folder.startswith(f"{before}/"):
            return folder
        moved = now + folder[len(before) :]
        return moved if typed or (Path(moved).exists() and not Path(folder).exists()) else folder

    images = {key: value for key, value in values.items() if key != "paths"}
    moved = with_folders(images, move)
    data_dir = now if typed or moved != images else before
    return {**moved, "paths": {**values["paths"], "data_dir": data_dir}}


@dataclass(frozen=True)
class Source:
    """What a new run starts from.

    Attributes:
        id: A run's; or the name of a network that comes with srexp.
        run: None for such a network.
        config: Of its training.
        digest: Of its weights.
    """

    id: str
    run: RunFolder | None
    config: dict[str, Any]
    digest: str


def source_of(config: dict[str, Any]) -> tuple[Source | None, dict[str, Any]]:
    """What `init_from` names, and the configuration with its full name.

    The name then holds a digest of the weights as well (`RUN@DIGEST`), since a run may be trained
    further. The scale may be another: what fits is taken (`Learner.set_weights`).

    Raises:
        RunError: There is no such run.
        CheckpointError: It has no sound weights.
        OptionError: Its weights do not fit the network, or are no longer those of the digest.
    """
    if config.get("init_from") is None:
        return None, config
    wanted, _, digest = str(config["init_from"]).partition("@")
    source = _bundled(wanted) or _run(wanted, config["paths"]["output_dir"])
    if digest and digest != source.digest:
        raise OptionError(
            f"init_from={config['init_from']}: the best weights of {source.id} are now "
            f"{source.digest}"
        )
    theirs = with_additions(source.config)
    keys = ["color", "model", "act"]  # another model may bring another act
    ours, before = flatten(with_additions(config)), flatten(theirs)
    for key in keys:
        for name in sorted(ours.keys() | before.keys(), key=_name_first):
            here, there = ours.get(name), before.get(name)
            if here != there and (name == key or name.startswith(f"{key}.")):
                raise OptionError(
                    f"{name}={here}: the weights of init_from={source.id} are of a network with "
                    f"{there}; give {name.removesuffix('.name')}={there}"
                )
    return source, {**config, "init_from": f"{source.id}@{source.digest}"}


def _run(wanted: str, output_dir: str) -> Source:
    try:
        run = find_run(wanted, checked("paths.output_dir", output_dir).resolve())
    except RunError as error:
        near = get_close_matches(wanted, bundled.names(), n=1)
        raise RunError(f"{error}; did you mean {near[0]}?" if near else str(error)) from None
    digest = checkpoint.fingerprint(checkpoint.best_path(run.checkpoints))
    return Source(run.id, run, run.config, digest)


def _bundled(wanted: str) -> Source | None:
    if wanted not in bundled.names():
        return None
    config = compose("train", [f"experiment={wanted}"])
    return Source(wanted, None, config, bundled.facts(wanted)["file"][:8])
