"""Strict configuration: every mistake is named with its place, and nothing is guessed."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import pytest

from provq_protein.errors import ConfigError
from provq_protein.runs.config import KINDS, from_mapping, override, read_toml, to_mapping


@dataclass(frozen=True, kw_only=True)
class Round:
    """A kind of shape."""

    radius: float


@dataclass(frozen=True, kw_only=True)
class Square:
    """Another kind."""

    side: float


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A configuration with every sort of field."""

    name: str
    count: int
    filled: bool
    color: Literal["red", "blue"]
    size: tuple[float, float]
    shape: Round | Square = field(metadata={KINDS: {"round": Round, "square": Square}})


_GOOD = {
    "name": "x", "count": 2, "filled": True, "color": "red", "size": [1, 2.5],
    "shape": {"kind": "square", "side": 3},
}  # fmt: skip


def test_tables_become_dataclasses_and_back():
    drawing = from_mapping(Drawing, _GOOD, where="w")
    assert drawing.shape == Square(side=3.0)
    assert drawing.size == (1.0, 2.5)
    assert from_mapping(Drawing, to_mapping(drawing), where="w") == drawing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cuont": 1}, r"w: cuont: unknown key; did you mean 'count'\? \(known: name, "),
        ({"zzz": 1}, r"w: zzz: unknown key \(known"),
        ({"count": True}, "w: count: expected int, got True"),
        ({"count": 2.0}, "w: count: expected int, got 2.0"),
        ({"filled": 1}, "w: filled: expected bool, got 1"),
        ({"name": 3}, "w: name: expected str, got 3"),
        ({"color": "green"}, "w: color: must be one of 'red', 'blue'; got 'green'"),
        ({"size": [1.0]}, "w: size: expected 2 values"),
        (
            {"shape": {"kind": "oval"}},
            "w: shape: kind: must be one of 'round', 'square'; got 'oval'",
        ),
        ({"shape": {"kind": "round", "side": 1}}, "w: shape: side: unknown key"),
        ({"shape": 4}, "w: shape: kind: must be one of .* got 4"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Drawing, {**_GOOD, **change}, where="w")


def test_a_missing_key_is_named():
    values = {key: value for key, value in _GOOD.items() if key != "count"}
    with pytest.raises(ConfigError, match="w: count: missing"):
        from_mapping(Drawing, values, where="w")


def test_validation_of_the_object_itself_gets_the_place():
    @dataclass(frozen=True)
    class Even:
        number: int

        def __post_init__(self):
            if self.number % 2:
                msg = f"number must be even, got {self.number}"
                raise ConfigError(msg)

    with pytest.raises(ConfigError, match="recipe: number must be even, got 3"):
        from_mapping(Even, {"number": 3}, where="recipe")


def test_overrides_change_a_copy():
    values = {"a": {"b": 1}}
    changed = override(values, ["a.b=[1, 2]", "c=word", "d.e=true", "f=1e-3"])
    assert changed == {"a": {"b": [1, 2]}, "c": "word", "d": {"e": True}, "f": 1e-3}
    assert values == {"a": {"b": 1}}


def test_overrides_without_sense_are_refused():
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        override({}, ["abc"])
    with pytest.raises(ConfigError, match="'a' is a value, not a table"):
        override({"a": 1}, ["a.b=2"])


def test_files_that_are_no_toml_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read"):
        read_toml(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(ConfigError, match=r"bad\.toml: is not TOML"):
        read_toml(tmp_path / "bad.toml")


def test_every_recipe_value_is_stated():
    from provq_protein.training.config import TrainingConfig

    parts = [TrainingConfig, *(f.type for f in dataclasses.fields(TrainingConfig))]
    for part in parts:
        if dataclasses.is_dataclass(part):
            for setting in dataclasses.fields(part):
                assert setting.default is dataclasses.MISSING, setting.name
