"""A bundled network in Keras, built as its experiment says, with the weights of its LiteRT file."""

from __future__ import annotations

from typing import Any

from srexp.options import OptionError
from srexp.quiet import quiet_import
from srexp.training import bundled as weights
from srexp.upscaling import bundled
from srexp.upscaling.export import Exported, exported


def keras_network(kind: str, scale: int) -> tuple[Exported, dict[str, Any], dict[str, Any]]:
    """The network, its configuration, and what stands beside its file.

    Args:
        kind: One of `bundled.KINDS`.
        scale: One that the kind has.

    Raises:
        OptionError: The kind has no such scale.
    """
    from srexp.config.compose import compose
    from srexp.config.settings import experiment_of

    name = f"tiny_{kind}_x{scale}"
    if name not in weights.names():
        has = ", ".join(map(str, bundled.method(kind).scales))
        raise OptionError(f"-s {scale}: the networks of --kind {kind} enlarge by {has}")
    facts = weights.facts(name)
    config = compose("train", [f"experiment={name}"])
    experiment = experiment_of(config)
    with quiet_import():
        network = experiment.model.build(
            scale=scale, channels=experiment.channels, act=experiment.act
        )
        weights.set_weights(network, name)
    return exported(network, experiment, facts["step"], facts["running_average"]), config, facts
