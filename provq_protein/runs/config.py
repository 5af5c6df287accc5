"""How does a strict TOML file become frozen dataclasses, and back?"""

import dataclasses
import difflib
import sys
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from provq_protein.errors import ConfigError

T = TypeVar("T")

# A dataclass field whose metadata has this key holds one of several dataclasses, told apart
# by the entry "kind" of its table.
KINDS = "kinds"


def read_toml(path: Path) -> dict[str, Any]:
    """
    Read a TOML file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ConfigError
        If the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise ConfigError(msg) from error
    except (ValueError, RecursionError) as error:
        # Also a number of thousands of digits, and tables nested as deep.
        msg = f"{path}: is not TOML: {error}"
        raise ConfigError(msg) from error


def from_mapping(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """
    Build a dataclass from nested tables, refusing anything it does not know.

    Parameters
    ----------
    kind : type
        A dataclass; its fields may be scalars, tuples, `Literal` and dataclasses.
    values : Mapping
        The tables.
    where : str
        The file and place, for error messages.

    Returns
    -------
    object
        An instance of `kind`.

    Raises
    ------
    ConfigError
        For an unknown key (naming the nearest known one), a missing key, or a value of the
        wrong type. An int is taken where a float is due; nothing else is converted.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Sizes:
    ...     width: int
    ...     scale: float
    >>> from_mapping(Sizes, {"width": 4, "scale": 1}, where="example")
    Sizes(width=4, scale=1.0)
    >>> from_mapping(Sizes, {"widht": 4, "scale": 1}, where="example")
    Traceback (most recent call last):
    ...
    provq_protein.errors.ConfigError: example: widht: unknown key; did you mean 'width'? ...
    """
    if not isinstance(values, Mapping):
        msg = f"{where}: expected a table, got {values!r}"
        raise ConfigError(msg)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # pyright: ignore[reportArgumentType]
    for key in values:
        if key not in fields:
            raise ConfigError(_unknown_key(where, key, list(fields)))
    hints = typing.get_type_hints(kind)
    arguments = {}
    for name, field in fields.items():
        place = f"{where}: {name}"
        if name in values:
            arguments[name] = _field_value(field, hints[name], values[name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            msg = f"{place}: missing; every setting that changes a result must be stated"
            raise ConfigError(msg)
    try:
        return kind(**arguments)
    except ConfigError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from error


def to_mapping(config: Any) -> dict[str, Any]:  # noqa: ANN401  (any dataclass)
    """
    Return the nested tables from which `from_mapping` builds the same dataclass.

    Parameters
    ----------
    config : dataclass instance
        The configuration.

    Returns
    -------
    dict
        Plain dicts, lists and scalars, ready for JSON or TOML.
    """
    table = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            entry = to_mapping(value)
            if KINDS in field.metadata:
                names = {cls: name for name, cls in field.metadata[KINDS].items()}
                entry = {"kind": names[type(value)], **entry}
            table[field.name] = entry
        else:
            table[field.name] = list(value) if isinstance(value, tuple) else value
    return table


def override(values: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """
    Apply ``section.key=value`` settings of the command line to nested tables.

    Parameters
    ----------
    values : dict
        The tables; not changed.
    assignments : sequence of str
        Each ``a.b=value`` with the value in TOML notation; a bare word is a string.

    Returns
    -------
    dict
        New tables.

    Raises
    ------
    ConfigError
        If an assignment has no equals sign or passes through a value that is no table.

    Examples
    --------
    >>> override({"a": {"b": 1}}, ["a.b=2", "a.c=word"])
    {'a': {'b': 2, 'c': 'word'}}
    """
    result = _copy(values)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            msg = f"--set {assignment}: expected section.key=value"
            raise ConfigError(msg)
        *parents, last = path.strip().split(".")
        table = result
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                msg = f"--set {assignment}: {parent!r} is a value, not a table"
                raise ConfigError(msg)
        table[last] = _toml_value(text.strip())
    return result


def _copy(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _copy(item) if isinstance(item, dict) else item for key, item in values.items()}


def _toml_value(text: str) -> Any:  # noqa: ANN401
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _unknown_key(where: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{where}: {key}: unknown key{hint} (known: {', '.join(known)})"


def _field_value(field: dataclasses.Field, hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    if KINDS in field.metadata:
        return _tagged(field.metadata[KINDS], value, where)
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast("type", hint), value, where=where)
    return _scalar(hint, value, where)


def _tagged(kinds: Mapping[str, type], value: Any, where: str) -> Any:  # noqa: ANN401
    found = value.get("kind") if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping) or not isinstance(found, str) or found not in kinds:
        msg = f"{where}: kind: must be one of {', '.join(map(repr, kinds))}; got {found!r}"
        raise ConfigError(msg)
    rest = {key: item for key, item in value.items() if key != "kind"}
    return from_mapping(kinds[found], rest, where=where)


def _finite(value: float, where: str) -> float:
    """Return a number as a float; neither infinities nor *NaN* are settings."""
    # Compared as it is: a whole number of any size can be, but not converted.
    if not abs(value) <= sys.float_info.max:
        msg = f"{where}: expected a finite number, got {value!r:.40}"
        raise ConfigError(msg)
    return float(value)


def _scalar(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    origin = typing.get_origin(hint)
    if origin is Literal:
        options = typing.get_args(hint)
        if value not in options:
            msg = f"{where}: must be one of {', '.join(map(repr, options))}; got {value!r}"
            raise ConfigError(msg)
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        kinds = typing.get_args(hint)
        if len(items) != len(kinds):
            msg = f"{where}: expected {len(kinds)} values, got {value!r}"
            raise ConfigError(msg)
        pairs = zip(kinds, items, strict=True)
        return tuple(_scalar(kind, item, where) for kind, item in pairs)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        inner = next(kind for kind in typing.get_args(hint) if kind is not type(None))
        return _scalar(inner, value, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, where)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        msg = f"{where}: expected {hint.__name__}, got {value!r}"
        raise ConfigError(msg)
    return value
