"""How do the encodings of BinaryCIF become arrays."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.structure.cif_columns import UnusualLayoutError, Words

Encoding = Mapping[str, Any]
Array = npt.NDArray[Any]

_TYPES = {1: "|i1", 2: "<i2", 3: "<i4", 4: "|u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}
# Lowest and highest value of what integers are packed into.
_BOUNDS = {
    code: (int(np.iinfo(code).min), int(np.iinfo(code).max)) for code in list(_TYPES.values())[:6]
}
_WIDEST_TEXT = 64
_MOST_VALUES = 1 << 28


def decode_column(data: Mapping[str, Any]) -> Array | Words:
    """
    Return what the ``data`` or ``mask`` of a column encodes.

    Parameters
    ----------
    data : mapping
        ``data`` and ``encoding``.

    Returns
    -------
    ndarray, shape=(row,), or Words
        Numbers, or text of which a row without is ``""``.

    Raises
    ------
    UnusualLayoutError
        If an encoding is unknown, or its parameters are not as they should be.
    """
    content, encodings = data["data"], data["encoding"]
    if encodings and encodings[0].get("kind") == "StringArray":
        return _decode_strings(content, encodings)
    return decode_numbers(content, encodings)


def decode_numbers(content: bytes, encodings: Sequence[Encoding]) -> Array:
    """
    Undo encodings of numbers, the last one first.

    Parameters
    ----------
    content : bytes
        What the last encoding made.
    encodings : sequence of mapping
        The first one first.

    Returns
    -------
    ndarray, shape=(row,)
        Maybe read-only.

    Raises
    ------
    UnusualLayoutError
        If an encoding is unknown, or its parameters are not as they should be.

    Examples
    --------
    >>> steps = [{"kind": "Delta", "origin": 5, "srcType": 3}, {"kind": "ByteArray", "type": 1}]
    >>> decode_numbers(bytes([0, 1, 1]), steps).tolist()
    [5, 6, 7]
    """
    values: Any = content
    for encoding in reversed(encodings):
        known = _DECODERS.get(encoding.get("kind", ""))
        if known is None or set(encoding) != known[1] or (values is content) != known[2]:
            msg = f"encoding {encoding.get('kind')!r} with other parameters, or in another place"
            raise UnusualLayoutError(msg)
        values = known[0](values, encoding)
    if not isinstance(values, np.ndarray):
        msg = "no encoding"
        raise UnusualLayoutError(msg)
    return values


def _decode_strings(content: bytes, encodings: Sequence[Encoding]) -> Words:
    encoding = encodings[0]
    keys = {"kind", "dataEncoding", "stringData", "offsetEncoding", "offsets"}
    if len(encodings) != 1 or set(encoding) != keys:
        msg = "a StringArray with other parameters"
        raise UnusualLayoutError(msg)
    codes = decode_numbers(content, encoding["dataEncoding"])
    offsets = decode_numbers(encoding["offsets"], encoding["offsetEncoding"])
    if codes.dtype.kind not in "iu" or offsets.dtype.kind not in "iu" or not len(codes):
        msg = "a StringArray whose places are none"
        raise UnusualLayoutError(msg)
    text, places = encoding["stringData"], offsets.tolist()
    strings = [text[start:stop] for start, stop in pairwise(places)]
    lowest, highest = int(codes.min()), int(codes.max())
    if lowest < -1 or highest >= len(strings) or max(map(len, strings), default=0) > _WIDEST_TEXT:
        msg = "a StringArray with long or absent strings"
        raise UnusualLayoutError(msg)
    # At the end, where -1 finds it, is that of no value.
    return Words(np.array([*strings, ""] if lowest < 0 else strings, dtype=np.str_), codes)


def _type_of(code: object) -> str:
    if not isinstance(code, int) or code not in _TYPES:
        msg = f"type code {code!r}"
        raise UnusualLayoutError(msg)
    return _TYPES[code]


def _byte_array(content: bytes, encoding: Encoding) -> Array:
    return np.frombuffer(content, dtype=_type_of(encoding["type"]))


def _fixed_point(values: Array, encoding: Encoding) -> Array:
    return (values / encoding["factor"]).astype(_type_of(encoding["srcType"]), copy=False)


def _interval_quantization(values: Array, encoding: Encoding) -> Array:
    low, high = encoding["min"], encoding["max"]
    result = values * (high - low) / (encoding["numSteps"] - 1)
    result = result.astype(_type_of(encoding["srcType"]), copy=False)
    result += low
    return result


def _run_length(values: Array, encoding: Encoding) -> Array:
    size, dtype = encoding["srcSize"], np.dtype(_type_of(encoding["srcType"]))
    counts = values[1::2]
    if (
        values.dtype.kind not in "iu"
        or dtype.kind not in "iu"
        or len(values) % 2
        or not isinstance(size, int)
        or not 0 < size <= _MOST_VALUES
        or min(counts.tolist()) < 0
        or sum(counts.tolist()) != size
    ):
        msg = "run lengths that do not add up"
        raise UnusualLayoutError(msg)
    return _whole(values[::2], dtype).repeat(counts)


def _delta(values: Array, encoding: Encoding) -> Array:
    result = values.cumsum(dtype=_type_of(encoding["srcType"]))
    result += encoding["origin"]
    return result


def _integer_packing(values: Array, encoding: Encoding) -> Array:
    size = encoding["srcSize"]
    bounds = _BOUNDS.get(values.dtype.str)
    if bounds is None or not len(values):
        msg = "packed integers that are none"
        raise UnusualLayoutError(msg)
    low, high = bounds
    inside = values.max() < high and (low == 0 or values.min() > low)
    if inside and len(values) == size:
        return values.astype(np.int32)
    goes_on = values == high
    if low:
        goes_on |= values == low
    # A value at the bound is added to the next one.
    sums = values.cumsum(dtype=np.int64)[~goes_on]
    if goes_on[-1] or len(sums) != size:
        msg = f"packed integers other than {size}"
        raise UnusualLayoutError(msg)
    sums[1:] -= sums[:-1].copy()
    return _whole(sums, np.dtype(np.int32))


def _whole(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return integers as another type, if all fit into it."""
    if values.dtype == dtype:
        return values
    result = values.astype(dtype)
    if not np.array_equal(result, values):
        msg = f"integers that do not fit into {dtype}"
        raise UnusualLayoutError(msg)
    return result


_Decoder = Callable[[Any, Encoding], Array]
# What undoes an encoding, its parameters, and whether it works on bytes.
_DECODERS: Mapping[str, tuple[_Decoder, set[str], bool]] = {
    "ByteArray": (_byte_array, {"kind", "type"}, True),
    "FixedPoint": (_fixed_point, {"kind", "factor", "srcType"}, False),
    "IntervalQuantization": (
        _interval_quantization,
        {"kind", "min", "max", "numSteps", "srcType"},
        False,
    ),
    "RunLength": (_run_length, {"kind", "srcType", "srcSize"}, False),
    "Delta": (_delta, {"kind", "origin", "srcType"}, False),
    "IntegerPacking": (_integer_packing, {"kind", "byteCount", "isUnsigned", "srcSize"}, False),
}
