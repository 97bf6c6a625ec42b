"""Options: ranges, choices and the messages that say what would be right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from srexp.options import OptionError, Options, additions, bounded, choice


@dataclass(kw_only=True)
class Fruit(Options, group="fruit"):
    pass


@dataclass(kw_only=True)
class Apple(Fruit, name="apple"):
    seeds: int = bounded(2, 8)
    weight: float = bounded(above=0, high=0.9)
    price: float | None = bounded(0)
    slices: list[int] = bounded(high=4)
    colour: str = choice("red", "green")
    spots: list[str] = choice("brown", "black")
    size: float | None = bounded(above=1)
    free: str = ""


class Unnamed(Apple):
    pass


@dataclass(kw_only=True)
class Golden(Unnamed, name="golden"):
    pass


GOOD = {
    "seeds": 5,
    "weight": 0.5,
    "price": 0,
    "slices": [1, 4],
    "colour": "red",
    "spots": ["black", "brown"],
    "size": 1.5,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 2},
        {"seeds": 8},
        {"weight": 0.9},
        {"weight": 1e-300},
        {"price": None},
        {"size": None},
        {"slices": []},
        {"slices": [4, -100]},
        {"spots": []},
        {"free": "anything"},
    ],
)
def test_values_on_the_bounds_are_taken(changes):
    apple = Apple(**(GOOD | changes))
    ((key, value),) = changes.items()
    assert getattr(apple, key) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1}, "seeds=1: must be between 2 and 8"),
        ({"seeds": 9}, "seeds=9: must be between 2 and 8"),
        ({"weight": 0}, "weight=0: must be greater than 0 and at most 0.9"),
        ({"weight": 0.91}, "weight=0.91: must be greater than 0 and at most 0.9"),
        ({"weight": math.nan}, "weight=nan: must be greater than 0 and at most 0.9"),
        ({"seeds": math.nan}, "seeds=nan: must be between 2 and 8"),
        ({"price": -0.01}, "price=-0.01: must be at least 0"),
        ({"price": math.nan}, "price=nan: must be at least 0"),
        ({"size": 1}, "size=1: must be greater than 1"),
        ({"size": math.nan}, "size=nan: must be greater than 1"),
        ({"slices": [1, 5]}, "slices=[1, 5]: must be at most 4"),
        ({"colour": "blue"}, "colour=blue: must be one of red, green"),
        ({"colour": "gren"}, "colour=gren: must be one of red, green; did you mean green?"),
        ({"spots": ["black", "grey"]}, "spots=['black', 'grey']: must be one of brown, black"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes, message):
    with pytest.raises(OptionError) as error:
        Apple(**(GOOD | changes))
    assert str(error.value) == message
    assert error.value.key == next(iter(changes))


def test_infinity_is_no_more_than_a_large_number():
    assert Apple(**(GOOD | {"price": math.inf})).price == math.inf
    with pytest.raises(OptionError, match="must be between 2 and 8"):
        Apple(**(GOOD | {"seeds": math.inf}))


@dataclass(kw_only=True)
class Pear(Fruit, name="pear"):
    seeds: int = bounded(2, 8)
    ripeness: float | None = bounded(0, 1, default=None)
    colour: str = choice("green", "yellow", default="green")


def test_a_field_that_was_added_later_has_a_default_and_the_same_limits():
    assert Pear(seeds=3) == Pear(seeds=3, ripeness=None, colour="green")
    assert additions(Pear) == {"ripeness": None, "colour": "green"}
    with pytest.raises(OptionError, match="ripeness=2: must be between 0 and 1"):
        Pear(seeds=3, ripeness=2)
    with pytest.raises(OptionError, match="colour=red: must be one of green, yellow"):
        Pear(seeds=3, colour="red")
    with pytest.raises(TypeError, match="seeds"):
        Pear(colour="green")


def test_the_implementations_of_a_group_are_its_named_subclasses():
    assert list(Fruit.implementations()) == [Apple, Golden, Pear]
    assert [(sub.group, sub.name) for sub in Fruit.implementations()] == [
        ("fruit", "apple"),
        ("fruit", "golden"),
        ("fruit", "pear"),
    ]


def test_a_subclass_does_not_inherit_the_name():
    assert (Unnamed.name, Unnamed.group) == ("", "fruit")
