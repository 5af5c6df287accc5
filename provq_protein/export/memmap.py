"""How are tokens laid out so that a training run can map them into memory?"""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.export.folders import write_header
from provq_protein.export.token_files import NamedChain

KIND = "memmap"
# Name and type of every array of the folder; those of `tokens` depend on the codebook.
ARRAYS = {
    "offsets": np.dtype("<i8"),
    "resolved": np.dtype("u1"),
    "names": np.dtype("u1"),
    "name_offsets": np.dtype("<i8"),
    "name_order": np.dtype("<i8"),
}
_UINT16_VALUES = 1 << 16
_BITS = 8


def token_dtype(codebook_size: int) -> np.dtype[np.generic]:
    """
    Return the type in which tokens of a codebook are stored.

    Parameters
    ----------
    codebook_size : int
        Number of codes.

    Returns
    -------
    dtype
        Unsigned, little-endian, with room for one value more than codes.

    Examples
    --------
    >>> [token_dtype(size).name for size in (4096, 65535, 65536)]
    ['uint16', 'uint16', 'uint32']
    """
    return np.dtype("<u2" if codebook_size < _UINT16_VALUES else "<u4")


def write_memmap(folder: Path, chains: Iterable[NamedChain]) -> tuple[int, int]:
    """
    Write chains as flat arrays that can be mapped into memory.

    Parameters
    ----------
    folder : Path
        An empty folder.
    chains : iterable of NamedChain
        One at least; of one model. Names alone are kept in memory.

    Returns
    -------
    tuple of (int, int)
        Numbers of chains and residues.

    See Also
    --------
    provq_protein.export.token_array.TokenArray : Reads it.
    """
    remaining = iter(chains)
    first = next(remaining)
    size = first.tokens.codebook_size
    dtypes = {"tokens": token_dtype(size), **ARRAYS}
    names: list[bytes] = []
    with ExitStack() as stack:
        arrays = {name: stack.enter_context(_growing(folder / f"{name}.npy", dtype))
                  for name, dtype in dtypes.items()}  # fmt: skip
        end = _write_chains(_again(first, remaining), arrays, names, size)
        order = sorted(range(len(names)), key=names.__getitem__)
        arrays["name_order"].append(np.array(order, dtype=np.int64))
    facts = {
        "fingerprint": first.tokens.fingerprint,
        "codebook_size": size,
        "unresolved_token": size,
        "chains": len(names),
        "residues": end,
        "crc32": {name: array.checksum for name, array in arrays.items()},
    }
    write_header(folder, KIND, facts)
    return len(names), end


def _write_chains(
    chains: Iterable[NamedChain], arrays: "dict[str, _Growing]", names: list[bytes], size: int
) -> int:
    """Write everything but the order of names; return the number of residues."""
    end = name_end = 0
    bits = np.zeros(0, dtype=np.bool_)
    for array in ("offsets", "name_offsets"):
        arrays[array].append(np.zeros(1, dtype=np.int64))
    for chain in chains:
        tokens, name = chain.tokens, chain.name.encode("utf-8", "replace")
        end += len(tokens)
        name_end += len(name)
        names.append(name)
        arrays["tokens"].append(np.where(tokens.resolved, tokens.ids, size))
        arrays["offsets"].append(np.array([end]))
        arrays["names"].append(np.frombuffer(name, dtype=np.uint8))
        arrays["name_offsets"].append(np.array([name_end]))
        bits = np.concatenate([bits, tokens.resolved])
        whole = len(bits) - len(bits) % _BITS
        arrays["resolved"].append(np.packbits(bits[:whole]))
        bits = bits[whole:]
    arrays["resolved"].append(np.packbits(bits))
    return end


def _again(first: NamedChain, remaining: Iterator[NamedChain]) -> Iterator[NamedChain]:
    yield first
    yield from remaining


class _Growing:
    """A one-dimensional .npy file of which the length is not known yet."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[np.generic]) -> None:
        self._file, self._dtype = file, dtype
        self.length = self.checksum = 0
        self.write_shape()
        self._start = file.tell()

    def append(self, values: NDArray[np.generic]) -> None:
        content = values.astype(self._dtype).tobytes()
        self.length += len(values)
        self.checksum = zlib.crc32(content, self.checksum)
        self._file.write(content)

    def write_shape(self) -> None:
        self._file.seek(0)
        # NumPy leaves room in the header for any length, so that it can be written again.
        description = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.length,),
        }
        npy.write_array_header_1_0(self._file, description)

    def finish(self) -> None:
        self.write_shape()
        if self._file.tell() != self._start:
            msg = f"the header of a .npy file grew from {self._start} to {self._file.tell()} bytes"
            raise TokenFormatError(msg)


@contextmanager
def _growing(path: Path, dtype: DTypeLike) -> Iterator[_Growing]:
    with path.open("wb") as file:
        array = _Growing(file, np.dtype(dtype))
        yield array
        array.finish()
