"""How is a network written down in the ONNX file format?"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# The version of the format that brought operator set 20, the first one with Gelu.
_IR_VERSION = 9
_OPSET = 20
_ELEMENT_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
_FLOAT, _INT, _INTS = 1, 2, 7

Attribute = int | float | Sequence[int]


class OnnxGraph:
    """
    A network that grows by one operation after the other.

    Parameters
    ----------
    name : str
        What to call it.

    Notes
    -----
    The format is a protocol buffer [1]_, of which a handful of messages is needed here. Writing
    them takes less than importing the package that defines all of them, in time and in code, and
    nothing else of that package would be used.

    References
    ----------
    .. [1] https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3

    Examples
    --------
    >>> graph = OnnxGraph("doubled")
    >>> given = graph.input("given", np.float32, ("row", 3))
    >>> factor = graph.constant("two", np.array([2.0], dtype=np.float32))
    >>> graph.output(graph.apply("Mul", given, factor), "doubled", np.float32, ("row", 3))
    >>> len(graph.to_bytes()) > 100
    True
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> str:
        """
        Declare what the network is given.

        Parameters
        ----------
        name : str
            Of the array.
        dtype : type
            Of its values: float32 or int64.
        shape : sequence of int or str
            Sizes, or names of sizes that are known only when it runs.

        Returns
        -------
        str
            The name.
        """
        self._inputs.append(_value(name, dtype, shape))
        return name

    def constant(self, name: str, array: NDArray[np.generic]) -> str:
        """
        Store an array in the network.

        Parameters
        ----------
        name : str
            Of the array; the same name may be stored again, with the same content.
        array : ndarray
            Of float32 or int64.

        Returns
        -------
        str
            The name.
        """
        self._constants[name] = (
            b"".join(_number(1, size) for size in array.shape)
            + _number(2, _ELEMENT_TYPES[array.dtype])
            + _text(8, name)
            + _bytes(9, np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        )
        return name

    def apply(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """
        Add an operation.

        Parameters
        ----------
        operator : str
            As ONNX calls it.
        *inputs : str
            Names of its operands.
        **attributes : int, float or sequence of int
            Its settings.

        Returns
        -------
        str
            Name of its result.
        """
        result = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(_node(operator, inputs, [result], attributes))
        return result

    def split(self, values: str, sizes: str, parts: Sequence[str], *, axis: int) -> None:
        """
        Add the operation that cuts an array into parts.

        Parameters
        ----------
        values, sizes : str
            Names of the array and of the sizes of its parts.
        parts : sequence of str
            What to call the parts.
        axis : int
            Where to cut.
        """
        self._nodes.append(_node("Split", (values, sizes), parts, {"axis": axis}))

    def output(
        self, result: str, name: str, dtype: type[np.generic], shape: Sequence[int | str]
    ) -> None:
        """
        Declare what the network returns.

        Parameters
        ----------
        result : str
            From `apply`.
        name : str
            What it is called outside.
        dtype, shape : type and sequence of int or str
            As for `input`.
        """
        self._nodes.append(_node("Identity", [result], [name], {}))
        self._outputs.append(_value(name, dtype, shape))

    def to_bytes(self) -> bytes:
        """
        Return the network as the content of an ONNX file.

        Returns
        -------
        bytes
            A serialized ``ModelProto``.
        """
        graph = b"".join(
            (
                *(_bytes(1, node) for node in self._nodes),
                _text(2, self._name),
                *(_bytes(5, constant) for constant in self._constants.values()),
                *(_bytes(11, value) for value in self._inputs),
                *(_bytes(12, value) for value in self._outputs),
            )
        )
        operators = _text(1, "") + _number(2, _OPSET)
        return _number(1, _IR_VERSION) + _text(2, "provq") + _bytes(7, graph) + _bytes(8, operators)


def _node(
    operator: str,
    inputs: Sequence[str],
    results: Sequence[str],
    attributes: Mapping[str, Attribute],
) -> bytes:
    parts = [_text(1, name) for name in inputs]
    parts += [_text(2, name) for name in results]
    parts += [_text(3, results[0]), _text(4, operator)]
    parts += [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(parts)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        content = _tag(2, 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    elif isinstance(value, int):
        content = _number(3, value) + _number(20, _INT)
    else:
        content = b"".join(_number(8, one) for one in value) + _number(20, _INTS)
    return _text(1, name) + content


def _value(name: str, dtype: type[np.generic], shape: Sequence[int | str]) -> bytes:
    sizes = (_text(2, one) if isinstance(one, str) else _number(1, one) for one in shape)
    tensor = _number(1, _ELEMENT_TYPES[np.dtype(dtype)])
    tensor += _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _tag(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits."""
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes((*parts, value))
