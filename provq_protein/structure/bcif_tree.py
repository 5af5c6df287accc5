"""Where in a BinaryCIF file are the columns that are read, and how are they encoded."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw as Raw

from provq_protein.structure.cif_columns import UnusualLayoutError

Number = float | int


class ByteArray(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Numbers as they are in memory, little end first.

    Parameters
    ----------
    type : int
        Code of their type.
    """

    type: int


class FixedPoint(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Decimal numbers as integers.

    Parameters
    ----------
    factor : float
        By which they were multiplied.
    srcType : int
        Code of their type.
    """

    factor: Number
    srcType: int  # noqa: N815 - as in the file


class IntervalQuantization(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Numbers as steps of an interval.

    Parameters
    ----------
    min, max : float
        Ends of the interval.
    numSteps : int
        Steps, both ends among them.
    srcType : int
        Code of their type.
    """

    min: Number
    max: Number
    numSteps: int  # noqa: N815 - as in the file
    srcType: int  # noqa: N815 - as in the file


class RunLength(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Integers as pairs of a value, and how often it follows itself.

    Parameters
    ----------
    srcType : int
        Code of their type.
    srcSize : int
        How many they are.
    """

    srcType: int  # noqa: N815 - as in the file
    srcSize: int  # noqa: N815 - as in the file


class Delta(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Integers as differences.

    Parameters
    ----------
    origin : int
        What the first one is counted from.
    srcType : int
        Code of their type.
    """

    origin: int
    srcType: int  # noqa: N815 - as in the file


class IntegerPacking(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Integers as sums of smaller ones.

    Parameters
    ----------
    byteCount : int
        Bytes of a smaller one.
    isUnsigned : bool
        Whether they have no sign.
    srcSize : int
        How many they are, once added up.
    """

    byteCount: int  # noqa: N815 - as in the file
    isUnsigned: bool  # noqa: N815 - as in the file
    srcSize: int  # noqa: N815 - as in the file


NumberEncoding = ByteArray | FixedPoint | IntervalQuantization | RunLength | Delta | IntegerPacking
"""What makes fewer bytes of numbers."""


class StringArray(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """
    Text as places in a list of different strings.

    Parameters
    ----------
    dataEncoding : list of NumberEncoding
        Of the places.
    stringData : str
        The strings, one after the other.
    offsetEncoding : list of NumberEncoding
        Of `offsets`.
    offsets : bytes-like
        Where each string begins, and where the last one ends.
    """

    dataEncoding: list[NumberEncoding]  # noqa: N815 - as in the file
    stringData: str  # noqa: N815 - as in the file
    offsetEncoding: list[NumberEncoding]  # noqa: N815 - as in the file
    offsets: memoryview


class Data(msgspec.Struct):
    """
    Values of a column, or which of them are absent.

    Parameters
    ----------
    data : bytes-like
        What the last encoding made.
    encoding : list of NumberEncoding or StringArray
        The first one first.
    """

    data: memoryview
    encoding: list[NumberEncoding | StringArray]


class Column(msgspec.Struct):
    """
    A column of a category.

    Parameters
    ----------
    name : str
        Without that of the category.
    data : Data
        Its values.
    mask : Data, optional
        0 where there is a value. By default there is one in each row.
    """

    name: str
    data: Data
    mask: Data | None


class _NamedColumn(msgspec.Struct):
    name: str
    data: msgspec.Raw
    mask: msgspec.Raw


class _Category(msgspec.Struct):
    name: str
    columns: msgspec.Raw
    rowCount: msgspec.Raw  # noqa: N815 - as in the file


class _Block(msgspec.Struct):
    header: msgspec.Raw
    categories: list[_Category]


class _File(msgspec.Struct):
    dataBlocks: list[_Block]  # noqa: N815 - as in the file


class _AnyCategory(msgspec.Struct):
    name: str
    columns: msgspec.Raw


class _AnyBlock(msgspec.Struct):
    categories: list[_AnyCategory]


class _AnyFile(msgspec.Struct):
    dataBlocks: list[_AnyBlock]  # noqa: N815 - as in the file


_FILE = msgspec.msgpack.Decoder(_File)
_ANY_FILE = msgspec.msgpack.Decoder(_AnyFile)
_COLUMNS = msgspec.msgpack.Decoder(list[_NamedColumn])
_DATA = msgspec.msgpack.Decoder(Data)
_MASK = msgspec.msgpack.Decoder(Data | None)


def raw_categories(content: bytes) -> dict[str, msgspec.Raw]:
    """
    Return where the columns of each category are, of a file with one data block.

    Parameters
    ----------
    content : bytes
        The whole file.

    Returns
    -------
    dict of str to Raw
        Columns that are not unpacked yet, by category.

    Raises
    ------
    UnusualLayoutError
        If it is no such file, or has other than one data block.
    """
    try:
        blocks = _FILE.decode(content).dataBlocks
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnusualLayoutError(str(error)) from error
    if len(blocks) != 1:
        msg = "other than one data block"
        raise UnusualLayoutError(msg)
    return {one.name.lstrip("_"): one.columns for one in blocks[0].categories}


def unpacked_columns(raw: msgspec.Raw, wanted: tuple[str, ...]) -> dict[str, Column]:
    """
    Return some columns of a category; the others are passed over.

    Parameters
    ----------
    raw : Raw
        Of `raw_categories`.
    wanted : tuple of str
        Names of columns, which need not be there.

    Returns
    -------
    dict of str to Column
        Those that are there, not decoded.

    Raises
    ------
    UnusualLayoutError
        If one is other than the format says.
    """
    try:
        return {
            one.name: Column(one.name, _DATA.decode(one.data), _MASK.decode(one.mask))
            for one in _COLUMNS.decode(raw)
            if one.name in wanted
        }
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnusualLayoutError(str(error)) from error


def loose_columns(content: bytes, wanted: Mapping[str, tuple[str, ...]]) -> list[Mapping[str, Any]]:
    """
    Return the columns that are read of all data blocks, whatever they hold.

    Parameters
    ----------
    content : bytes
        The whole file.
    wanted : mapping of str to tuple of str
        Names of columns by category.

    Returns
    -------
    list of mapping
        Each with a ``name``; categories and columns that are none are left out.

    Raises
    ------
    ValueError
        If the file cannot be gone through.
    """
    found: list[Mapping[str, Any]] = []
    try:
        for block in _ANY_FILE.decode(content).dataBlocks:
            for category in block.categories:
                names = wanted.get(category.name.lstrip("_"), ())
                columns = msgspec.msgpack.decode(category.columns) if names else ()
                for one in columns if isinstance(columns, list | tuple) else ():
                    if isinstance(one, dict) and one.get("name") in names:
                        found.append(one)
    except RecursionError as error:
        msg = "values within values, deeper than in any BinaryCIF file"
        raise ValueError(msg) from error
    return found


def number_encodings(given: object) -> list[NumberEncoding]:
    """
    Return encodings of numbers as such.

    Parameters
    ----------
    given : object
        As it is in the file: a list of mappings.

    Returns
    -------
    list of NumberEncoding
        The same, with what they say of themselves checked.

    Raises
    ------
    ValueError
        If it is something else.
    """
    return msgspec.convert(given, list[NumberEncoding])
