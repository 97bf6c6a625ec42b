"""What `conf/` holds, in words: groups, options and keys, explained by the comments of the YAML.

Read from the files, without Hydra, so that help costs less than importing it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from io import StringIO
from pathlib import Path
from typing import TypeVar

import yaml

from srexp.config import COMMANDS

# Groups that take several options at once.
SEVERAL = ("protocol", "benchmark", "metric")
# The implementation of models without weights.
_FIXED = "resampler"

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_T = TypeVar("_T")


def conf_dir() -> Path:
    """`conf/`: inside the package where it is installed, beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


class _Read(Mapping[str, _T]):
    """What files say, read when it is first asked for: most commands need little of it."""

    def __init__(self, read: Callable[[], dict[str, _T]]) -> None:
        self._read = cache(read)

    def __getitem__(self, name: str) -> _T:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


@dataclass(frozen=True)
class Key:
    """A key of the configuration.

    Attributes:
        path: As it is typed: `trainer.ema`.
        default: As the YAML has it.
        words: What it is.
        owner: Group and implementation of the inner option whose key it is; empty for one of the
            option itself.
    """

    path: str
    default: str
    words: str
    owner: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rsplit(".", 1)[-1]


@dataclass(frozen=True)
class OptionInside:
    """An option inside another one: `/link@links.blur: gaussian_blur`, or `mae@terms.mae`.

    Attributes:
        group: `link`; empty for that of the other one.
        place: Where it stands in the other: `links.blur`, or `discriminator` where there is one.
        option: `gaussian_blur`.
        words: What is said of it.
    """

    group: str
    place: str
    option: str
    words: str


@dataclass(frozen=True)
class Option:
    """An option of a group: a file.

    Attributes:
        name: As in GROUP=NAME.
        words: The comment at the top of the file, one paragraph a line; indented lines as they are.
        keys: Its keys, those of the option that it is based on included. None for a preset.
        implementation: Its `name:`, which chooses the class, or empty.
        where: Where its keys stand: `model`, or `benchmark.set5` in a group of several.
        chooses: Groups and the options of them that it puts in the place of the default ones.
        parts: The options that it is made of.
    """

    name: str
    words: str
    keys: tuple[Key, ...]
    implementation: str
    where: str
    chooses: dict[str, tuple[str, ...]]
    parts: tuple[OptionInside, ...] = ()

    @property
    def summary(self) -> str:
        """The first sentence or line."""
        first = self.words.split("\n", 1)[0]
        return re.split(r"(?<=[a-z\d)]\.) (?=[A-Z])", first, maxsplit=1)[0]


@dataclass(frozen=True)
class Group:
    """Options of which one is chosen, or several.

    Attributes:
        name: As in NAME=OPTION.
        words: What it is.
        default: The options that are chosen where nothing is said.
        options: By name.
        place: Of a group whose options stand inside those of another one: `degradation.links.NAME`
            of several, by name, or `algorithm.discriminator` of one.
    """

    name: str
    words: str
    default: tuple[str, ...]
    options: Mapping[str, Option]
    place: str = ""

    @property
    def typed(self) -> str:
        """What stands before `=OPTION` on the command line."""
        adding = "+" if self.place.endswith(".NAME") else ""
        return f"{adding}{self.name}@{self.place}" if self.place else self.name


@dataclass(frozen=True)
class Catalogue:
    """What a command's configuration is made of.

    Attributes:
        command: Its name.
        words: The comment at the top of its file.
        groups: By name, in the order of the file.
        keys: Of no group.
        inner: The groups whose options stand inside those of others, as `link`.
    """

    command: str
    words: str
    groups: dict[str, Group]
    keys: dict[str, Key]
    inner: Mapping[str, Group] = field(default_factory=dict)
    _replaced: dict[str, Key] = field(default_factory=dict)

    def of(self, group: Group, option: Option) -> list[Key]:
        """An option's keys, as this command has them."""
        return [self._replaced.get(key.path, key) for key in option.keys]

    @property
    def every_group(self) -> list[Group]:
        """All of them, inner ones behind the group that they stand in."""
        behind = [(g, [i for i in self.inner.values() if i.place.startswith(f"{g.name}.")])
                  for g in self.groups.values()]  # fmt: skip
        return [one for group, inner in behind for one in (group, *inner)]

    @cached_property
    def every_key(self) -> list[str]:
        """Every dotted key that can be typed, and every group."""
        keys = {*self.groups, *self.keys}
        for group in self.groups.values():
            for option in group.options.values():
                for key in option.keys:
                    parts = key.path.split(".")
                    keys.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
                if option.implementation:
                    keys |= {option.where, f"{option.where}.name"}
        return sorted(keys)

    def as_chosen(self, arguments: Sequence[str]) -> Catalogue:
        """With the options that a command line chooses in the place of the default ones."""
        chosen: dict[str, tuple[str, ...]] = {}
        for argument in arguments:
            name, _, value = argument.partition("=")
            if name in self.groups:
                options = self.groups[name].options
                names = tuple(n for n in value.strip("[]").split(",") if n in options)
                for option in names:  # what was typed counts for more
                    chosen = {**options[option].chooses, **chosen}
                chosen |= {name: names} if names else {}
        groups = {n: replace(g, default=chosen.get(n, g.default)) for n, g in self.groups.items()}
        return replace(self, groups=groups)

    def groups_with(self, option: str) -> list[str]:
        """The groups that have an option of that name."""
        return [group.name for group in self.every_group if option in group.options]


def catalogue(command: str, folders: Sequence[Path] = ()) -> Catalogue:
    """Read what a command's configuration is made of.

    Args:
        command: `train`, `evaluate` or `reproduce`.
        folders: More options (`--config-dir`); they come before ours.

    Raises:
        OSError, yaml.YAMLError: A file that cannot be read; for that of an option, when its group
            is looked at.
    """
    file = _File(conf_dir() / f"{command}.yaml")

    def read(name: str, prefix: str) -> dict[str, Option]:
        options = {}
        for folder in (conf_dir(), *reversed(folders)):
            for path in sorted((folder / name).glob("*.yaml")):
                options[path.stem] = _option(name, path, folder, prefix)
        return options

    def options_of(name: str) -> dict[str, Option]:
        options = read(name, name)
        if name == "model":  # a resampler cannot be trained, a network not scored without a run
            trains = command == "train"
            options = {n: o for n, o in options.items() if trains != (o.implementation == _FIXED)}
        return _lent(options)

    groups = {
        name: Group(name, words, default, _Read(partial(options_of, name)))
        for name, default, words in file.groups()
        if not name.startswith("override ")  # of Hydra's
    }

    def find_inner() -> dict[str, Group]:
        inner: dict[str, Group] = {}
        for group in groups.values():
            for part in (part for option in group.options.values() for part in option.parts):
                several, _, name = part.place.rpartition(".")
                place = f"{group.name}.{several}.NAME" if several else f"{group.name}.{name}"
                if part.group in ("", *groups) or (part.group in inner and not part.words):
                    continue
                options = read(part.group, place)
                inner[part.group] = Group(part.group, part.words, (), options, place)
        return inner

    keys, replaced = {}, {}
    for key in file.keys(""):
        if key.path.split(".")[0] in groups:
            replaced[key.path] = key
        else:
            keys[key.path] = key
    return Catalogue(command, file.top, groups, keys, _Read(find_inner), replaced)


def commands_with(group: str) -> list[str]:
    """The commands whose configuration has a group."""
    return [
        command
        for command in COMMANDS
        if group in (name for name, _, _ in _File(conf_dir() / f"{command}.yaml").groups())
    ]


def _option(group: str, path: Path, folder: Path, prefix: str) -> Option:
    """Read an option.

    Args:
        group: Of it.
        path: Its file.
        folder: In which its group lies.
        prefix: Where its keys stand: its group's name, or its place in another option.
    """
    file = _File(path)
    own = {} if file.is_global else {key.path: key for key in file.keys(f"{prefix}.")}
    keys: dict[str, Key] = {}
    implementation, inside = file.implementation

    def based_on(group: str, name: str, prefix: str) -> Option | None:
        places = (place for place in (folder, conf_dir()) if (place / group / name).is_file())
        place = next(places, None)
        return None if place is None else _option(group, place / group / name, place, prefix)

    for base in file.bases():
        if (based := based_on(group, base, prefix)) is not None:
            keys |= {key.path: key for key in based.keys}
            implementation = implementation or based.implementation
    parts = tuple(file.parts())
    for part in parts:
        owned = part.group or group
        found = based_on(owned, f"{part.option}.yaml", f"{prefix}.{part.place}")
        if found is not None:
            owner = (owned, found.implementation)
            keys |= {key.path: replace(key, owner=owner) for key in found.keys}
    for name, key in own.items():
        known = keys.get(name, key)
        keys[name] = replace(key, words=key.words or known.words, owner=known.owner)
    where = f"{prefix}.{inside}" if inside else prefix
    chooses = {group: names for name, names, _ in file.groups() if (group := _overridden(name))}
    return Option(path.stem, file.top, tuple(keys.values()), implementation, where, chooses, parts)


def _overridden(name: str) -> str:
    """The group of `override /act@_global_.act`, or nothing."""
    match = re.fullmatch(r"override /(\w+)(@.*)?", name)
    return match[1] if match else ""


def _lent(options: dict[str, Option]) -> dict[str, Option]:
    """Keys without words have those of an option of the same kind: each is explained once."""
    words: dict[tuple[str, str], str] = {}

    def place(option: Option, key: Key) -> tuple[str, str]:
        return option.implementation, key.path.removeprefix(f"{option.where}.")

    for option in options.values():
        for key in option.keys:
            if key.words:
                words.setdefault(place(option, key), key.words)
    return {
        name: replace(
            option,
            keys=tuple(
                replace(key, words=key.words or words.get(place(option, key), ""))
                for key in option.keys
            ),
        )
        for name, option in options.items()
    }


class _File:
    """A YAML file with its comments."""

    def __init__(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        self.lines = text.splitlines()
        stream = StringIO(text)
        stream.name = str(path)  # for messages
        node = yaml.compose(stream, Loader=_Loader)
        self.root = node if isinstance(node, yaml.MappingNode) else None
        top = []
        for line in self.lines:
            if not line.startswith("#"):
                break
            top.append(line[1:].removeprefix(" "))
        self.is_global = top[:1] == ["@package _global_"]
        self._first = len(top)
        self.top = _paragraphs(top[1:] if self.is_global else top)

    def _items(self, node: yaml.MappingNode | None) -> Iterator[tuple[str, yaml.Node, str]]:
        """Keys, values and comments of a mapping."""
        for key, value in node.value if node is not None else ():
            yield key.value, value, self._comment(key, value)

    def _comment(self, key: yaml.Node, value: yaml.Node) -> str:
        """What stands above a key, in its column, and behind its value."""
        row = key.start_mark.line
        above: list[str] = []
        comment = re.compile(rf" {{0,{key.start_mark.column}}}#")
        while row > self._first and comment.match(self.lines[row - 1]):
            row -= 1
            above.insert(0, self.lines[row].strip(" #"))
        row, column = key.end_mark.line, key.end_mark.column
        if value.end_mark.line == row:
            column = value.end_mark.column
        behind = re.search(r"(?:^|\s)# ?(.*)", self.lines[row][column:])
        return " ".join([*above, behind[1]] if behind else above)

    def groups(self) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """Names, options and comments of the groups in `defaults`; also `override /NAME`."""
        for entry in self._defaults():
            if isinstance(entry, yaml.MappingNode):
                for name, value, comment in self._items(entry):
                    yield name.removeprefix("optional "), _scalars(value), comment

    def parts(self) -> Iterator[OptionInside]:
        """The options that stand inside it, by its `defaults`."""
        for name, options, words in self.groups():
            if (match := re.fullmatch(r"/(\w+)@(\w[\w.]*)", name)) and options:
                yield OptionInside(match[1], match[2], options[0], words)
        for entry in self._defaults():
            if isinstance(entry, yaml.ScalarNode) and "@" in entry.value:
                option, _, place = entry.value.partition("@")
                yield OptionInside("", place, option, "")

    def bases(self) -> Iterator[str]:
        """Files of the same group on which this one is based."""
        for entry in self._defaults():
            if isinstance(entry, yaml.ScalarNode) and entry.value != "_self_":
                yield f"{entry.value}.yaml"

    def _defaults(self) -> list[yaml.Node]:
        for name, value, _ in self._items(self.root):
            if name == "defaults" and isinstance(value, yaml.SequenceNode):
                return value.value
        return []

    @property
    def implementation(self) -> tuple[str, str]:
        """The `name:` of the option, and the key under which it stands, empty for none."""
        inner = [(k, v) for k, v, _ in self._items(self.root) if isinstance(v, yaml.MappingNode)]
        for key, node in [("", self.root), *inner]:
            for name, value, _ in self._items(node):
                if name == "name" and isinstance(value, yaml.ScalarNode):
                    return str(value.value), key
        return "", ""

    def keys(self, prefix: str) -> Iterator[Key]:
        """Every key but `defaults`, `hydra` and an option's `name`."""
        yield from self._keys(self.root, prefix)

    def _keys(self, node: yaml.MappingNode | None, prefix: str) -> Iterator[Key]:
        for name, value, comment in self._items(node):
            if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
                if prefix or name != "hydra":
                    yield from self._keys(value, f"{prefix}{name}.")
            elif name != "defaults" and not (prefix and name == "name"):
                yield Key(f"{prefix}{name}", _typed(value), comment)


def _scalars(node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.ScalarNode):
        return () if node.tag.endswith(":null") else (node.value,)
    return tuple(item.value for item in node.value)


def _typed(node: yaml.Node) -> str:
    """A value as one would type it."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return f"[{','.join(_typed(item) for item in node.value)}]"
    return f"{{{','.join(f'{key.value}:{_typed(value)}' for key, value in node.value)}}}"


def _paragraphs(lines: list[str]) -> str:
    """Lines of prose joined; indented lines and the empty ones between paragraphs as they are."""
    joined: list[str] = []
    for line in lines:
        prose = bool(line) and not line.startswith(" ")
        if prose and joined and joined[-1] and not joined[-1].startswith(" "):
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    return "\n".join(joined).strip("\n")
