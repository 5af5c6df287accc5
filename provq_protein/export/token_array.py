"""How does a training run read exported tokens without loading them all?"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.export.folders import HEADER, read_header
from provq_protein.export.memmap import ARRAYS, KIND, token_dtype

_BITS = 8
# What NumPy raises on damaged array files, of which it parses the header as Python.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    SyntaxError,
    TokenError,
    OverflowError,
    RecursionError,
    MemoryError,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenRow:
    """
    The tokens of one chain.

    Parameters
    ----------
    name : str
        What the chain is called.
    tokens : ndarray, shape=(residue,), dtype=uint16 or uint32
        Codes; where `resolved` is False, the number of codes. Read-only, and mapped from disk.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where there is a code.
    """

    name: str
    tokens: NDArray[np.unsignedinteger]
    resolved: NDArray[np.bool_]


class TokenArray:
    """
    The folder of ``provq-protein export --to memmap``, mapped into memory.

    Parameters
    ----------
    folder : str or Path
        Where it lies.

    Attributes
    ----------
    fingerprint : str
        Identity of the tokenizer.
    codebook_size : int
        Number of codes; stands for residues without a code, too.
    residues : int
        Number of residues of all chains.

    Raises
    ------
    TokenFormatError
        If the folder is no such export, incomplete or damaged.

    Notes
    -----
    An instance is cheap to pickle: another process opens the folder again. Arrays are checked
    against each other when opened, and rows when read; `verify` reads everything.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        header = read_header(self.folder, KIND)
        self.fingerprint = str(header.get("fingerprint"))
        self.codebook_size = self._count(header, "codebook_size")
        self.residues = self._count(header, "residues")
        self._chains = self._count(header, "chains")
        checksums = header.get("crc32")
        self._checksums = checksums if isinstance(checksums, dict) else {}
        dtypes = {"tokens": token_dtype(self.codebook_size), **ARRAYS}
        self._arrays = {name: self._opened(name, dtype) for name, dtype in dtypes.items()}
        self._check_lengths()

    def __reduce__(self) -> tuple[type["TokenArray"], tuple[Path]]:
        """Have pickle store the folder's name, not its content."""
        return type(self), (self.folder,)

    def __len__(self) -> int:
        """Return the number of chains."""
        return self._chains

    def __getitem__(self, index: int) -> TokenRow:
        """Return the chain of one row; negative ones count from the end."""
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            msg = f"{self.folder}: no row {index}; it has {len(self)}"
            raise IndexError(msg)
        start, stop = self._bounds("offsets", row, self.residues)
        tokens = self._arrays["tokens"][start:stop]
        first = start // _BITS
        bits = np.unpackbits(self._arrays["resolved"][first : -(-stop // _BITS)])
        resolved = bits[start - first * _BITS :][: stop - start].astype(np.bool_)
        # Both ways, as in token files: a token is a code exactly where the mask says so.
        is_code = tokens < self.codebook_size
        if not np.array_equal(is_code, resolved) or (tokens > self.codebook_size).any():
            self._fail(f"tokens and mask of row {row} contradict each other")
        return TokenRow(name=self.name(row), tokens=tokens, resolved=resolved)

    def __iter__(self) -> Iterator[TokenRow]:
        """Yield all chains in order."""
        return (self[row] for row in range(len(self)))

    def name(self, row: int) -> str:
        """
        Return what a chain is called.

        Parameters
        ----------
        row : int
            Row, from 0.

        Returns
        -------
        str
            Its name.

        Raises
        ------
        TokenFormatError
            If the file of names is damaged.
        """
        try:
            return self._name_bytes(row).decode("utf-8")
        except UnicodeDecodeError:
            self._fail(f"the name of row {row} is not UTF-8")

    def row_of(self, name: str) -> int:
        """
        Find a chain by its name, in a number of steps that grows with the logarithm of chains.

        Parameters
        ----------
        name : str
            For instance ``"1abc_A"``.

        Returns
        -------
        int
            Its row.

        Raises
        ------
        KeyError
            If no chain is called so.
        """
        wanted = name.encode("utf-8", "replace")
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._name_bytes(self._row_in_order(middle)) < wanted:
                low = middle + 1
            else:
                high = middle
        if low < len(self):
            row = self._row_in_order(low)
            if self._name_bytes(row) == wanted:
                return row
        msg = f"{self.folder}: no chain is called {name!r}"
        raise KeyError(msg)

    def by_id(self, name: str) -> TokenRow:
        """
        Return a chain by its name.

        Parameters
        ----------
        name : str
            For instance ``"1abc_A"``.

        Returns
        -------
        TokenRow
            Its tokens.

        Raises
        ------
        KeyError
            If no chain is called so.
        """
        return self[self.row_of(name)]

    def verify(self) -> None:
        """
        Read everything, and compare it with the stored checksums.

        Raises
        ------
        TokenFormatError
            If a file is damaged.
        """
        for name, array in self._arrays.items():
            if zlib.crc32(np.ascontiguousarray(array).data) != self._checksums.get(name):
                self._fail(f"{name}.npy does not fit its checksum")

    def _opened(self, name: str, dtype: np.dtype[np.generic]) -> NDArray[Any]:
        path = self.folder / f"{name}.npy"
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except _DAMAGE as error:
            # Nothing can be mapped from a file without values: NumPy says so by ValueError.
            array = self._empty(path, dtype, error)
        if array.ndim != 1 or array.dtype != dtype:
            self._fail(f"{path.name} must hold one dimension of {dtype}, got {array.shape} of "
                       f"{array.dtype}")  # fmt: skip
        return array

    def _empty(self, path: Path, dtype: np.dtype[np.generic], cause: Exception) -> NDArray[Any]:
        try:
            array = np.load(path, allow_pickle=False)
        except _DAMAGE:
            array = None
        if array is None or array.size:
            reason = " ".join(str(cause).split())
            self._fail(f"{path.name}: truncated or damaged ({reason})")
        return array.astype(dtype) if array.dtype == dtype else array

    def _check_lengths(self) -> None:
        expected = {
            "tokens": self.residues,
            "offsets": self._chains + 1,
            "resolved": -(-self.residues // _BITS),
            "name_offsets": self._chains + 1,
            "name_order": self._chains,
        }
        for name, length in expected.items():
            if len(self._arrays[name]) != length:
                self._fail(f"{name}.npy must hold {length} values, got {len(self._arrays[name])}")
        for name, end in (("offsets", self.residues), ("name_offsets", len(self._arrays["names"]))):
            array = self._arrays[name]
            if int(array[0]) != 0 or int(array[-1]) != end:
                self._fail(f"{name}.npy must start with 0 and end with {end}")

    def _bounds(self, name: str, row: int, end: int) -> tuple[int, int]:
        start, stop = (int(value) for value in self._arrays[name][row : row + 2])
        if not 0 <= start <= stop <= end:
            self._fail(f"{name}.npy is damaged at row {row}")
        return start, stop

    def _name_bytes(self, row: int) -> bytes:
        names = self._arrays["names"]
        start, stop = self._bounds("name_offsets", row, len(names))
        return names[start:stop].tobytes()

    def _row_in_order(self, position: int) -> int:
        row = int(self._arrays["name_order"][position])
        if not 0 <= row < len(self):
            self._fail(f"name_order.npy is damaged at {position}")
        return row

    def _count(self, header: dict[str, Any], key: str) -> int:
        value = header.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._fail(f"{HEADER}: {key} must be a number, got {value!r}")
        return value

    def _fail(self, problem: str) -> NoReturn:
        msg = f"{self.folder}: {problem}; export the tokens again"
        raise TokenFormatError(msg)
