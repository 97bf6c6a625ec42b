"""What `srexp reproduce` is told: a published table, and how to measure it again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from srexp.config.catalogue import catalogue
from srexp.config.compose import compose_beside, conf_dir
from srexp.config.errors import readable
from srexp.config.identity import deciding
from srexp.config.settings import absolute_paths, settings_of, typed_option
from srexp.config.typed import quoted
from srexp.data.sources import Benchmark
from srexp.degradations.base import Degradation
from srexp.evaluation.published import PublishedRow, PublishedTable
from srexp.options import OptionError
from srexp.protocol import Protocol
from srexp.training.experiment import Paths

# What a published row says of its network. How long it was trained, how, and from which seed may
# differ from what our command for the row would do.
_DEFINING = ("data", "color", "degradation", "model", "act", "init_from")


@dataclass
class ReproduceSettings:
    """Everything that `srexp reproduce` needs to know.

    Attributes:
        table: The rows that were asked for.
        degradation: How LR images are made; its scale is that of each row.
        protocol: The one protocol, by its name.
        benchmark: Image sets that have rows in the table.
        paths: Folders.
        run: A run for the rows that it fits, or None.
        train: Whether to train what no run fits.
    """

    table: PublishedTable
    degradation: Degradation
    protocol: dict[str, Protocol]
    benchmark: dict[str, Benchmark]
    paths: Paths
    run: str | None
    train: bool

    def __post_init__(self) -> None:
        if len(self.protocol) != 1:
            given = ",".join(self.protocol)
            raise OptionError(f"protocol=[{given}]: a table is of one protocol; name one")
        if not isinstance(self.train, bool):
            raise OptionError(f"train={self.train}: is not true or false")
        if self.train and self.run is not None:
            raise OptionError("run and train=true: give one of them")
        networks = any(row.train is not None for row in self.table.rows.values())
        if not networks and self.run is not None:
            raise OptionError(
                f"run={self.run}: table={self.table.name} has no row of a network; to score a run: "
                f"srexp evaluate run={self.run}"
            )
        if not networks and self.train:
            raise OptionError(f"train=true: table={self.table.name} has no row of a network")


def reproduce_settings(config: dict[str, Any], table_name: str) -> ReproduceSettings:
    """Check a composed configuration of `srexp reproduce`.

    Args:
        config: Plain data.
        table_name: What the table is called.

    Raises:
        OptionError: In one line: what was received, what would be right.
    """
    values = dict(config)
    rows = _rows(values.get("table"))
    degradation = values.get("degradation")
    scale = degradation.get("scale") if isinstance(degradation, dict) else None
    if isinstance(degradation, dict) and scale is None:
        values["degradation"] = {**degradation, "scale": min(row.scale for row in rows.values())}
    values["table"] = PublishedTable(table_name, rows)
    settings: ReproduceSettings = settings_of(ReproduceSettings, values)
    _check_sets(rows, settings)
    settings.table = PublishedTable(
        table_name, _asked_for(settings, scale is not None, sorted({r.set for r in rows.values()}))
    )
    return settings


def _rows(node: Any) -> dict[str, PublishedRow]:
    """Each row, with what the table says of all of them."""
    if not isinstance(node, dict) or not isinstance(node.get("rows"), dict) or not node["rows"]:
        raise OptionError("table: must hold rows")
    common = {key: value for key, value in node.items() if key != "rows"}
    rows = {}
    for key, own in node["rows"].items():
        if not isinstance(own, dict):
            raise OptionError(f"table.rows.{key}={own}: must hold set, scale, psnr")
        values = {**common, **own}
        tolerance, train = values.pop("tolerance", None), values.get("train")
        if not isinstance(tolerance, dict) or set(tolerance) != {"psnr", "ssim"}:
            raise OptionError(f"table.tolerance={tolerance}: must hold psnr and ssim")
        values |= {f"{metric}_tolerance": value for metric, value in tolerance.items()}
        if isinstance(train, dict):
            scale = f"x{values.get('scale')}"
            if scale not in train:
                raise OptionError(f"table.train: has no {scale}, the scale of {key}")
            values["train"] = train[scale]
        rows[key] = typed_option(PublishedRow, values, f"table.rows.{key}")
    return rows


def _check_sets(rows: dict[str, PublishedRow], settings: ReproduceSettings) -> None:
    """Each row's image set is one that there is."""
    hydra = GlobalHydra.instance()
    known = set(settings.benchmark) | {path.stem for path in conf_dir().glob("benchmark/*.yaml")}
    if hydra.is_initialized():  # folders of the user's, too
        known |= set(hydra.config_loader().get_group_options("benchmark"))
    for key, row in rows.items():
        if row.set not in known:
            near = get_close_matches(row.set, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(
                f"table.rows.{key}.set={row.set}: no such image set{hint} (there are "
                f"{', '.join(sorted(known))})"
            )


def _asked_for(
    settings: ReproduceSettings, one_scale: bool, sets: list[str]
) -> dict[str, PublishedRow]:
    scale, name = settings.degradation.scale, settings.table.name
    listed = ", ".join(sets)
    for benchmark in settings.benchmark:
        if benchmark not in sets:
            raise OptionError(
                f"benchmark={benchmark}: table={name} has no values for it (it has them for "
                f"{listed}). If the images are those of one of these sets: "
                f"benchmark={sets[0]} benchmark.{sets[0]}.dir=DIR"
            )
    if not settings.benchmark:
        raise OptionError(f"benchmark=[]: must name at least one of {listed}")
    rows = {
        key: row
        for key, row in settings.table.rows.items()
        if row.set in settings.benchmark and (not one_scale or row.scale == scale)
    }
    if not rows:
        scales = sorted({str(row.scale) for row in settings.table.rows.values()})
        raise OptionError(
            f"degradation.scale={scale}: table={name} has no values for it (it has them for "
            f"{', '.join(scales)})"
        )
    return rows


def difference(theirs: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """Why a run is not one of a published row's network, or None where it is.

    Args:
        theirs: The run's configuration.
        wanted: That of the command which makes one.
    """
    before, ours = _defining(theirs), _defining(wanted)
    for key in sorted(before.keys() | ours.keys(), key=lambda k: (not k.endswith(".name"), k)):
        if before.get(key) != ours.get(key):
            return f"{key}={before.get(key)}, not {ours.get(key)}"
    return None


def _defining(config: dict[str, Any]) -> dict[str, Any]:
    values = deciding(config)
    # The first protocol makes the training pairs; what it is called does not matter.
    first = f"protocol.{values['protocol.name']}."
    own = {key: value for key, value in values.items() if key.split(".")[0] in _DEFINING}
    # Without the images themselves their number is what tells image sets apart.
    own["data.expected_images"] = config["data"].get("expected_images")
    return own | {
        f"protocol.{key.removeprefix(first)}": value
        for key, value in values.items()
        if key.startswith(first)
    }


def training_of(typed: str, output_dir: str, data_dir: str) -> dict[str, Any]:
    """The configuration that `srexp train TYPED` composes, with these folders.

    Raises:
        OptionError: There is no such training.
    """
    folders = (f"paths.output_dir={quoted(output_dir)}", f"paths.data_dir={quoted(data_dir)}")
    try:
        return absolute_paths(compose_beside("train", [*shlex.split(typed), *folders]))
    except (HydraException, OmegaConfBaseException) as error:
        raise OptionError(f"table.train: {readable(error, catalogue('train'))}") from None
