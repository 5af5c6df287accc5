"""How do the encodings of BinaryCIF become arrays."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.structure.bcif_tree import (
    ByteArray,
    Data,
    Delta,
    FixedPoint,
    IntegerPacking,
    IntervalQuantization,
    NumberEncoding,
    RunLength,
    StringArray,
)
from provq_protein.structure.cif_columns import UnusualLayoutError, Words

Array = npt.NDArray[Any]

_TYPES = {
    code: np.dtype(name)
    for code, name in {
        1: "|i1", 2: "<i2", 3: "<i4", 4: "|u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"
    }.items()
}  # fmt: skip
_INT32_CODE = 3
_INT32 = _TYPES[_INT32_CODE]
# Lowest and highest value of what integers are packed into.
_BOUNDS = {
    dtype: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for dtype in list(_TYPES.values())[:6]
}
_WIDEST_TEXT = 64
_MOST_VALUES = 1 << 28
# So few that Python is faster than numpy is at its start.
_FEW, _FEW_RUNS = 24, 64


def decode_column(data: Data) -> Array | Words:
    """
    Return what the ``data`` or ``mask`` of a column encodes.

    Parameters
    ----------
    data : Data
        What is in the file.

    Returns
    -------
    ndarray, shape=(row,), or Words
        Numbers, or text of which a row without is ``""``.

    Raises
    ------
    UnusualLayoutError
        If the encodings do not add up.
    """
    encodings = data.encoding
    if encodings and isinstance(encodings[0], StringArray):
        return _decode_strings(data.data, encodings[0], alone=len(encodings) == 1)
    return decode_numbers(data.data, encodings)


def decode_numbers(
    content: bytes | memoryview, encodings: Sequence[NumberEncoding | StringArray]
) -> Array:
    """
    Undo encodings of numbers, the last one first.

    Parameters
    ----------
    content : bytes-like
        What the last encoding made.
    encodings : sequence of NumberEncoding
        The first one first.

    Returns
    -------
    ndarray, shape=(row,)
        Maybe read-only.

    Raises
    ------
    UnusualLayoutError
        If the encodings do not add up.

    Examples
    --------
    >>> decode_numbers(bytes([0, 1, 1]), [Delta(origin=5, srcType=3), ByteArray(type=1)]).tolist()
    [5, 6, 7]
    """
    if not encodings or not isinstance(encodings[-1], ByteArray):
        msg = "no encoding of bytes"
        raise UnusualLayoutError(msg)
    values: Array = np.frombuffer(content, dtype=_type_of(encodings[-1].type))
    if len(encodings) == 4 and len(values) <= _FEW_RUNS:
        found = _few_runs(values, *encodings[:3])
        if found is not None:
            return found
    for encoding in encodings[-2::-1]:
        undo = _DECODERS.get(type(encoding))
        if undo is None:
            msg = f"encoding {type(encoding).__name__} in another place"
            raise UnusualLayoutError(msg)
        values = undo(values, encoding)
    return values


def is_between(values: Array, low: int, high: int) -> bool:
    """
    Return whether all numbers are within bounds.

    Parameters
    ----------
    values : ndarray, shape=(row,)
        At least one.
    low, high : int
        Least and greatest number allowed.

    Returns
    -------
    bool
        False if one is not, or is *NaN*.
    """
    least, greatest = _extremes(values)
    return low <= least and greatest <= high


def _decode_strings(content: memoryview, encoding: StringArray, *, alone: bool) -> Words:
    codes = decode_numbers(content, encoding.dataEncoding)
    if codes.dtype.kind not in "iu" or not len(codes) or not alone:
        msg = "a StringArray whose places are none"
        raise UnusualLayoutError(msg)
    text, places = encoding.stringData, _offsets(encoding)
    strings = [text[start:stop] for start, stop in pairwise(places)]
    lowest, highest = _code_range(codes, len(strings))
    if lowest < -1 or highest >= len(strings) or max(map(len, strings), default=0) > _WIDEST_TEXT:
        msg = "a StringArray with long or absent strings"
        raise UnusualLayoutError(msg)
    # At the end, where -1 finds it, is that of no value.
    values = np.array([*strings, ""] if lowest < 0 else strings, dtype=np.str_)
    return Words(values, codes)


def _code_range(codes: Array, count: int) -> tuple[int, int]:
    """Return the least and the greatest code, by one look at them if all are those of strings."""
    if codes.dtype == _INT32:
        # A negative number is a great one without its sign.
        highest = int(np.maximum.reduce(codes.view(np.uint32)))
        if highest < count:
            return 0, highest
        highest = int(np.maximum.reduce((codes + 1).view(np.uint32)))
        if highest <= count:
            return -1, highest - 1
    return _extremes(codes)


def _offsets(encoding: StringArray) -> list[int]:
    content, steps = encoding.offsets, encoding.offsetEncoding
    if len(steps) == 2 and isinstance(steps[1], ByteArray) and isinstance(steps[0], IntegerPacking):
        packed = np.frombuffer(content, dtype=_type_of(steps[1].type))
        values = packed.tolist()
        high = _BOUNDS.get(packed.dtype, (0, 0))[1]
        if values and len(values) == steps[0].srcSize and max(values) < high and min(values) >= 0:
            return values
    offsets = decode_numbers(content, steps)
    if offsets.dtype.kind not in "iu":
        msg = "a StringArray whose offsets are none"
        raise UnusualLayoutError(msg)
    return offsets.tolist()


def _type_of(code: int) -> np.dtype[Any]:
    found = _TYPES.get(code)
    if found is None:
        msg = f"type code {code!r}"
        raise UnusualLayoutError(msg)
    return found


def _extremes(values: Array) -> tuple[Any, Any]:
    """Return the least and the greatest of numbers, of which there must be one."""
    if len(values) <= _FEW:
        few = values.tolist()
        return min(few), max(few)
    return np.minimum.reduce(values).item(), np.maximum.reduce(values).item()


def _wide(values: Array) -> Array:
    return values.astype(_INT32) if values.itemsize < 4 else values


def _fixed_point(values: Array, encoding: FixedPoint) -> Array:
    return (_wide(values) / encoding.factor).astype(_type_of(encoding.srcType), copy=False)


def _interval_quantization(values: Array, encoding: IntervalQuantization) -> Array:
    low, high = encoding.min, encoding.max
    result = _wide(values) * (high - low) / (encoding.numSteps - 1)
    result = result.astype(_type_of(encoding.srcType), copy=False)
    result += low
    return result


def _run_length(values: Array, encoding: RunLength) -> Array:
    size, dtype = encoding.srcSize, _type_of(encoding.srcType)
    if (
        values.dtype.kind not in "iu"
        or dtype.kind not in "iu"
        or not len(values)
        or len(values) % 2
        or not 0 < size <= _MOST_VALUES
    ):
        msg = "run lengths of other than integers"
        raise UnusualLayoutError(msg)
    counts = values[1::2]
    if np.minimum.reduce(counts) < 0 or int(np.add.reduce(counts, dtype=np.int64)) != size:
        msg = "run lengths that do not add up"
        raise UnusualLayoutError(msg)
    return _whole(values[::2], dtype).repeat(counts)


def _added_up(packed: list[int], bounds: tuple[int, int]) -> list[int]:
    """Return what integers are packed into others; nothing if the last one goes on."""
    low, high = bounds
    if max(packed, default=0) < high and (low == 0 or min(packed, default=0) > low):
        return packed
    values, value = [], 0
    for part in packed:
        value += part
        if part != high and (part != low or low == 0):
            values.append(value)
            value = 0
    return [] if packed[-1] == high or packed[-1] == low < 0 else values


def _few_runs(packed: Array, delta: object, runs: object, packing: object) -> Array | None:
    """Return integers that hardly change along the rows; None if it takes more to undo that."""
    if not (
        isinstance(delta, Delta)
        and isinstance(runs, RunLength)
        and isinstance(packing, IntegerPacking)
        and delta.srcType == runs.srcType == _INT32_CODE
        and packed.dtype in _BOUNDS
    ):
        return None
    values = _added_up(packed.tolist(), _BOUNDS[packed.dtype])
    steps, counts = values[::2], values[1::2]
    if (
        not counts
        or len(values) != packing.srcSize
        or len(steps) != len(counts)
        or min(counts) < 0
        or sum(counts) != runs.srcSize
        or not 0 < runs.srcSize <= _MOST_VALUES
        or any(step and count != 1 for step, count in zip(steps, counts, strict=True))
    ):
        return None
    levels = list(accumulate(steps, initial=delta.origin))[1:]
    if not _BOUNDS[_INT32][0] <= min(levels) <= max(levels) <= _BOUNDS[_INT32][1]:
        return None
    if len(levels) == 1:
        return np.full(runs.srcSize, levels[0], dtype=_INT32)
    return np.array(levels, dtype=_INT32).repeat(counts)


def _delta(values: Array, encoding: Delta) -> Array:
    result = values.cumsum(dtype=_type_of(encoding.srcType))
    if encoding.origin:
        result += encoding.origin
    return result


def _integer_packing(values: Array, encoding: IntegerPacking) -> Array:
    size = encoding.srcSize
    bounds = _BOUNDS.get(values.dtype)
    if bounds is None or not len(values):
        msg = "packed integers that are none"
        raise UnusualLayoutError(msg)
    low, high = bounds
    least, greatest = (0, np.maximum.reduce(values)) if low == 0 else _extremes(values)
    if greatest < high and (low == 0 or least > low) and len(values) == size:
        # Narrow ones are widened by what comes next.
        return values if values.itemsize < 4 else values.astype(_INT32)
    goes_on = values == high
    if low:
        goes_on |= values == low
    # A value at the bound is added to the next one.
    sums = values.cumsum(dtype=np.int64)[~goes_on]
    if goes_on[-1] or len(sums) != size:
        msg = f"packed integers other than {size}"
        raise UnusualLayoutError(msg)
    sums[1:] -= sums[:-1].copy()
    return _whole(sums, _INT32)


def _whole(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return integers as another type, if all fit into it."""
    if values.dtype == dtype:
        return values
    result = values.astype(dtype)
    if values.itemsize < dtype.itemsize and dtype == _INT32:
        return result
    if not np.array_equal(result, values):
        msg = f"integers that do not fit into {dtype}"
        raise UnusualLayoutError(msg)
    return result


_DECODERS: Mapping[type, Callable[[Array, Any], Array]] = {
    FixedPoint: _fixed_point,
    IntervalQuantization: _interval_quantization,
    RunLength: _run_length,
    Delta: _delta,
    IntegerPacking: _integer_packing,
}
