"""Activations of straight pieces that stand for smooth ones: cheaper, and exact in few bits."""

from __future__ import annotations

from dataclasses import dataclass

from srexp.activations.base import KerasActivation


@dataclass(kw_only=True)
class HardTanh(KerasActivation, name="hard_tanh"):
    """x, but at least -1 and at most 1."""


@dataclass(kw_only=True)
class HardSigmoid(KerasActivation, name="hard_sigmoid"):
    """x / 6 + 1/2, but at least 0 and at most 1. As in Howard et al., 2019 (MobileNetV3)."""


@dataclass(kw_only=True)
class HardSiLU(KerasActivation, name="hard_silu"):
    """x times the hard sigmoid of x. Howard et al., 2019, section 5.2."""


@dataclass(kw_only=True)
class ReLU6(KerasActivation, name="relu6"):
    """x, but at least 0 and at most 6. Krizhevsky, 2010."""

    rectifies = True
