"""Going on with a run: its own configuration, with the few keys that may change. Or from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from srexp.config.registry import implementation
from srexp.config.settings import with_additions, with_folders
from srexp.options import OptionError, flatten
from srexp.tracking.record import RunFolder, find_run
from srexp.training import checkpoint

# Keys that change what is to come and nothing that has been.
MAY_CHANGE = (
    "trainer.steps", "trainer.max_minutes", "trainer.sample_grids", "trainer.dry_run",
    "trainer.keep_checkpoints", "trainer.strategy", "trainer.patience", "trainer.min_delta",
    "tracking", "paths", "resume",
)  # fmt: skip


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
        OptionError: An override would change the past, or the run is done or running.
    """
    stored = with_additions(run.config)
    merged = OmegaConf.create(stored)
    flat_before, flat_asked = flatten(stored), flatten(composed)
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~").split("@")[0].replace("/", ".")
        # An option's name says more than the keys that come with it.
        names = sorted(flat_asked.keys() | flat_before.keys(), key=_name_first)
        for name in names:
            if name != key and not name.startswith(f"{key}.") and key != "experiment":
                continue
            asked, before = flat_asked.get(name), flat_before.get(name)
            if asked == before and name != "resume":
                continue
            if name == "schedule.steps" and key != name:
                continue  # it follows trainer.steps in a new run; here it stays as it was
            if not any(name == k or name.startswith(f"{k}.") for k in MAY_CHANGE):
                raise OptionError(
                    f"{name}={asked}: run {run.id} began with {before}, and changing it would "
                    "change its past; leave it out, or start a new run without resume"
                )
            OmegaConf.update(merged, name, asked, force_add=True)
    values: dict[str, Any] = OmegaConf.to_container(merged)  # type: ignore[assignment]
    if any(override.split("=", 1)[0] == "tracking" for override in overrides):
        values["tracking"] = composed["tracking"]  # another option has other keys
    values = _moved(values, stored["paths"]["data_dir"], values["paths"]["data_dir"])
    done = int(run.info.get("progress", {}).get("step", 0))
    if values["trainer"]["steps"] < done:
        raise OptionError(
            f"trainer.steps={values['trainer']['steps']}: run {run.id} has done {done} steps "
            "already; it can only grow"
        )
    if run.info["status"] == "FINISHED" and values["trainer"]["steps"] == done:
        raise OptionError(
            f"resume={run.id}: it is finished, all {done} steps of it; "
            "trainer.steps=N with more steps trains on"
        )
    if run.alive:
        raise OptionError(f"resume={run.id}: it is running now (process {run.info['pid']})")
    return values


def _moved(config: dict[str, Any], before: str, now: str) -> dict[str, Any]:
    """The configuration with every folder below `before` in the folder `now`."""

    def move(folder: str) -> str:
        inside = folder == before or folder.startswith(f"{before}/")
        return now + folder[len(before) :] if inside else folder

    return with_folders(config, move)


def initial_run(config: dict[str, Any]) -> tuple[RunFolder | None, dict[str, Any]]:
    """The run that `init_from` names, and the configuration with its full name.

    The name then holds a digest of the weights as well (`RUN@DIGEST`), since a run may be trained
    further.

    Raises:
        RunError: There is no such run.
        CheckpointError: It has no sound weights.
        OptionError: Its weights do not fit the network, or are no longer those of the digest.
    """
    if config.get("init_from") is None:
        return None, config
    wanted, _, digest = str(config["init_from"]).partition("@")
    run = find_run(wanted, Path(config["paths"]["output_dir"]).expanduser().resolve())
    weights = checkpoint.fingerprint(checkpoint.best_path(run.checkpoints))
    if digest and digest != weights:
        raise OptionError(
            f"init_from={config['init_from']}: the best weights of {run.id} are now {weights}"
        )
    theirs = with_additions(run.config)
    keys = ["color", "model", "act"]  # another model may bring another act
    if implementation("model", config["model"]["name"]).upsampling == "post":  # type: ignore[attr-defined]
        keys.append("degradation.scale")
    ours, before = flatten(with_additions(config)), flatten(theirs)
    for key in keys:
        for name in sorted(ours.keys() | before.keys(), key=_name_first):
            here, there = ours.get(name), before.get(name)
            if here != there and (name == key or name.startswith(f"{key}.")):
                raise OptionError(
                    f"{name}={here}: the weights of init_from={run.id} are of a network with "
                    f"{there}; give {name.removesuffix('.name')}={there}"
                )
    return run, {**config, "init_from": f"{run.id}@{weights}"}
