"""Options: the typed, range-checked dataclasses behind the YAML files.

An option is a dataclass in the module that implements it. Its fields are the keys of the YAML,
the YAML holds their values, and `build(...)` of the class makes the real object. Nothing here,
and no module that defines options, imports Keras or TensorFlow, so that a whole configuration is
composed and checked in well under a second.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

# What is wrong with a text or a path of no letters.
EMPTY = "is empty; is a shell variable not set?"


class OptionError(ValueError):
    """A configuration that cannot work, in one line: what was received, what would be right.

    Attributes:
        key: The field that is wrong, relative to the option (`depth`), or empty.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def bounded(
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    default: Any = dataclasses.MISSING,
) -> Any:
    """A numeric field (or list of numbers) with `low <= value <= high`, or `value > above`.

    A field that is None (where its type allows it) or a list is checked item by item. The YAML
    holds the value; a `default` is for a field that was added later, and means what was done
    before there was one, so that older runs load and keep their identity.
    """
    metadata = {"low": low, "high": high, "above": above}
    return dataclasses.field(default=default, metadata=metadata)


def choice(*values: Any, default: Any = dataclasses.MISSING) -> Any:
    """A field that takes one of `values`; for `default` see `bounded`."""
    return dataclasses.field(default=default, metadata={"choices": values})


def texts(*, default: Any = dataclasses.MISSING) -> Any:
    """A field that takes a text, or a list of texts; for `default` see `bounded`."""
    return dataclasses.field(default=default, metadata={"texts": True})


def spread(low: float, high: float, *, optional: bool = False) -> Any:
    """A field that takes a number, or two rising ones between which each draw takes one.

    It holds a float or a list of two, however it was typed.
    """
    metadata = {"low": low, "high": high, "spread": True, "optional": optional}
    return dataclasses.field(metadata=metadata)


def additions(cls: type[Any]) -> dict[str, Any]:
    """The fields that were added later, with the plain data that means the old behaviour."""
    added = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            added[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            added[field.name] = plain_of(field.default_factory())
    return added


def plain_of(value: Any) -> Any:
    """An option as the node of a configuration: its name and its values; other values as they are.

    Options, lists and dictionaries inside it likewise.
    """
    if isinstance(value, Options):
        named = {"name": value.name} if value.name else {}
        fields = dataclasses.fields(value)
        return {**named, **{field.name: plain_of(getattr(value, field.name)) for field in fields}}
    if isinstance(value, dict):
        return {key: plain_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_of(item) for item in value]
    return value


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


@dataclass(kw_only=True)
class Options:
    """Base of all options.

    A subclass that can be chosen by name says so in its class line, and that is all the
    registration there is: `class LeakyReLU(Activation, name="leaky_relu")`.

    Attributes:
        absent: What holds for keys that a YAML, or a command line, may leave out.
        code_version: What stands for the code of an option from elsewhere in a run's identity, if
            the class declares it; else a digest of its source does. Of one of srexp's own: the
            version of the library whose work it is.
    """

    group: ClassVar[str] = ""
    name: ClassVar[str] = ""
    absent: ClassVar[dict[str, Any]] = {}
    code_version: ClassVar[str] = ""

    def __init_subclass__(cls, *, name: str = "", group: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if group:
            cls.group = group
        cls.name = name

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.metadata.get("spread"):
                _check_spread(field.name, value, field.metadata)
                setattr(self, field.name, as_spread(value))
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if item is not None:
                    _check(field.name, item, value, field.metadata)

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The same values, but for those that have no effect beside the others.

        Those stand at one value (None, where it does not matter which), so that configurations
        that give the same are known as the same.

        Args:
            values: Of all fields, and the name.
        """
        return values

    @classmethod
    def implementations(cls) -> Iterator[type[Self]]:
        """Every named subclass that has been imported."""
        for sub in cls.__subclasses__():
            if sub.name:
                yield sub
            yield from sub.implementations()


def nested(cls: type[Any]) -> dict[str, type[Options]]:
    """The fields that hold options: field -> base class of what it holds.

    Such a field is an option, or None, or a list or a dictionary of options.
    """

    def held(hint: Any) -> type[Options] | None:
        if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
            return hint if issubclass(hint, Options) else None
        found = (held(part) for part in typing.get_args(hint))
        return next((base for base in found if base is not None), None)

    hints = typing.get_type_hints(cls)
    found = {field.name: held(hints[field.name]) for field in dataclasses.fields(cls)}
    return {name: base for name, base in found.items() if base is not None}


def each_nested(value: Any, change: Callable[[Any], Any]) -> Any:
    """`change` applied to the option, or to each in a list or dictionary of them.

    The nodes of a configuration are dictionaries too: with a `name` one is an option itself.
    """
    if isinstance(value, dict) and "name" not in value:
        return {key: change(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [change(item) for item in value]
    return value if value is None else change(value)


def as_spread(value: Any) -> Any:
    """A value of a `spread` field in the one form that it has: a float, two, or None."""
    if isinstance(value, (list, tuple)):
        return [float(number) for number in value]
    return value if value is None else float(value)


def _check_spread(key: str, value: Any, limits: Any) -> None:
    items = value if isinstance(value, (list, tuple)) else [value]
    if value is None and limits["optional"]:
        return
    numbers = all(isinstance(i, (int, float)) and not isinstance(i, bool) for i in items)
    rising = len(items) == 1 or (len(items) == 2 and numbers and items[0] < items[1])
    if not numbers or not rising or (isinstance(value, (list, tuple)) and len(items) != 2):
        typed = f"[{','.join(map(str, items))}]" if isinstance(value, (list, tuple)) else value
        raise OptionError(f"{key}={typed}: must be a number, or two rising ones: [LOW,HIGH]", key)


def _check(key: str, item: Any, value: Any, limits: Any) -> None:
    choices = limits.get("choices")
    if choices is not None:
        if item not in choices:
            from difflib import get_close_matches

            near = get_close_matches(str(item), [str(c) for c in choices], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            listed = ", ".join(str(c) for c in choices)
            raise OptionError(f"{key}={value}: must be one of {listed}{hint}", key)
        return
    low, high, above = limits.get("low"), limits.get("high"), limits.get("above")
    if low is None and high is None and above is None:
        return
    fits = (
        # NaN fails every comparison, as it should.
        (low is None or item >= low)
        and (high is None or item <= high)
        and (above is None or item > above)
    )
    if not fits:
        raise OptionError(f"{key}={value}: must be {_range(limits)}", key)


def _range(limits: Any) -> str:
    """A numeric field's bounds in words, or nothing."""
    low, high, above = (limits.get(bound) for bound in ("low", "high", "above"))
    if above is not None:
        return f"greater than {above}" + (f" and at most {high}" if high is not None else "")
    if low is not None and high is not None:
        return f"between {low} and {high}"
    if low is not None:
        return f"at least {low}"
    return f"at most {high}" if high is not None else ""


# Types in words; what is not here is shown as it is.
_TYPES = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "text",
    "Path": "a folder", "None": "null", "Any": "text or a list, or null",
}  # fmt: skip
_LISTS = {"int": "whole numbers", "float": "numbers", "str": "texts"}


def described(field: dataclasses.Field[Any]) -> str:
    """What a field takes, in words: `a number greater than 0, or null`."""
    if "spread" in field.metadata:
        or_null = ", or null" if field.metadata["optional"] else ""
        return f"a number {_range(field.metadata)}, or two to draw between: [LOW,HIGH]{or_null}"
    kinds = [kind.strip() for kind in str(field.type).split("|")]
    words = []
    for kind in kinds:
        inner = kind.removeprefix("list[").removesuffix("]")
        is_list = inner != kind
        word = f"a list of {_LISTS.get(inner, inner)}" if is_list else _TYPES.get(kind, kind)
        if "choices" in field.metadata and kind != "None":
            listed = ", ".join(str(c) for c in field.metadata["choices"] if c is not None)
            word = f"a list of {listed}" if is_list else f"one of {listed}"
        elif kind != "None" and (bounds := _range(field.metadata)):
            word += f", each {bounds}" if is_list else f" {bounds}"
        words.append(word)
    return ", or ".join(words)
