"""The weighted sum of other losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from srexp.losses.base import Loss, LossFunction
from srexp.options import OptionError


@dataclass(kw_only=True)
class Sum(Loss, name="sum"):
    """A sum of losses, each times its own `weight`; each is logged as a curve of its own.

    Attributes:
        terms: Name -> loss. A term of several terms itself gives `NAME_TERM` for each.
    """

    terms: dict[str, Loss]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.terms:
            raise OptionError("terms={}: must hold at least one loss", "terms")

    @property
    def looks_at_hr(self) -> bool:
        return any(term.looks_at_hr for term in self.terms.values())

    @property
    def minimum_side(self) -> int:
        return max(term.minimum_side for term in self.terms.values())

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for term in self.terms.values() for note in term.notes)

    def prepare(self) -> None:
        for name, term in self.terms.items():
            try:
                term.prepare()
            except OptionError as error:
                key = f"terms.{name}"
                raise OptionError(f"{key}.{error}", f"{key}.{error.key}") from error

    @property
    def terms_given(self) -> tuple[str, ...]:
        found: list[str] = []
        for name, term in self.terms.items():
            inner = term.terms_given
            if not inner:
                return ()
            found += [name] if len(inner) == 1 else [f"{name}_{one}" for one in inner]
        return tuple(found)

    def build(self, *, channels: int, scale: int) -> LossFunction:
        parts = {
            name: term.weighted(channels=channels, scale=scale) for name, term in self.terms.items()
        }

        def loss(hr: Any, sr: Any, step: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for name, part in parts.items():
                terms = part(hr, sr, step)
                alone = len(terms) == 1
                found |= {name if alone else f"{name}_{k}": v for k, v in terms.items()}
            return found

        return loss
