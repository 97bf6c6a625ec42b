"""Names for the variables of networks and optimizers that are the same in every process."""

from __future__ import annotations

import re
from collections.abc import Iterable

import keras


def network_variables(network: keras.Model) -> dict[str, keras.Variable]:
    """All variables of a network by layer path, such as `deconv_1/kernel`, in Keras' order.

    A name that Keras made itself (`conv2d_17`) is numbered over all layers of a process; here it
    is numbered anew within the network: `conv2d`, `conv2d_1`, ...
    """
    automatic = {_snake_case(type(layer).__name__) for layer in network._flatten_layers()}
    automatic.add("seed_generator")
    numbers: dict[tuple[str, str], dict[str, int]] = {}

    def path(variable: keras.Variable) -> str:
        *layers, own = variable.path.removeprefix(f"{network.name}/").split("/")
        so_far = ""
        for layer in layers:
            name = re.sub(r"_\d+$", "", layer)
            if name in automatic:
                number = numbers.setdefault((so_far, name), {}).setdefault(
                    layer, len(numbers[so_far, name])
                )
                layer = f"{name}_{number}" if number else name
            so_far += f"{layer}/"
        return so_far + own

    return _unique((path(variable), variable) for variable in network.variables)


def optimizer_variables(
    optimizer: keras.optimizers.Optimizer, network: keras.Model
) -> dict[str, keras.Variable]:
    """All variables of an optimizer of a network, such as `adam/deconv_1/kernel/momentum`."""
    # Keras calls the momentum of `deconv_1/kernel` `deconv_1_kernel_momentum`.
    paths = {
        f"{variable.path.replace('/', '_')}_": path
        for path, variable in reversed(network_variables(network).items())
    }

    def name(variable: keras.Variable) -> str:
        kind, own = variable.path.split("/", 1)
        kind = re.sub(r"_\d+$", "", kind)
        start = max((start for start in paths if own.startswith(start)), key=len, default="")
        return f"{kind}/{paths[start]}/{own[len(start) :]}" if start else f"{kind}/{own}"

    return _unique((name(variable), variable) for variable in optimizer.variables)


def _unique(named: Iterable[tuple[str, keras.Variable]]) -> dict[str, keras.Variable]:
    """A number behind the second one of a name, as two layers called the same have."""
    found: dict[str, keras.Variable] = {}
    for name, variable in named:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}:{number}"
        found[free] = variable
    return found


def _snake_case(name: str) -> str:
    """As Keras makes a layer's name of its class."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
