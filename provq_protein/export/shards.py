"""How is one chain found among the Parquet files of a run?"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

from provq_protein.errors import TokenFormatError
from provq_protein.export.token_files import token_files
from provq_protein.tokens.parquet import ParquetTokens
from provq_protein.tokens.sequence import TokenSequence

_OPEN_FILES = 16


class TokenShards(Mapping[str, TokenSequence]):
    """
    The Parquet token files of a folder as one mapping from names to chains.

    Parameters
    ----------
    folder : str or Path
        Where they lie; or one such file.

    Raises
    ------
    TokenFormatError
        If a file is damaged or no token file, or two chains have the same name.
    MissingExtraError
        If pyarrow is not installed.

    Notes
    -----
    Opening reads the names of all chains, some 150 bytes of memory each, and the checksummed
    footers of the files. Getting a chain reads its row group, of which Parquet checks the pages.
    Hundreds of millions of chains, or many chains a second, are better exported to a
    `provq_protein.export.token_array.TokenArray`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._files = token_files([self.folder])
        self._open: OrderedDict[int, ParquetTokens] = OrderedDict()
        self._places: dict[str, tuple[int, int]] = {}
        for number in range(len(self._files)):
            for row, name in enumerate(self._file(number).names()):
                first = self._places.setdefault(name, (number, row))
                if first != (number, row):
                    msg = (
                        f"two chains are called {name!r}: {self._say(first)}, and "
                        f"{self._say((number, row))}; put them into different folders"
                    )
                    raise TokenFormatError(msg)

    def __getitem__(self, name: str) -> TokenSequence:
        """Return the chain of one name."""
        number, row = self._places[name]
        return self._file(number)[row]

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of files and rows."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return the number of chains."""
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        """Return whether a chain has this name, without reading it."""
        return name in self._places

    def __enter__(self) -> "TokenShards":
        """Return this mapping."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close all files."""
        self.close()

    def place(self, name: str) -> tuple[Path, int]:
        """
        Say where a chain is stored.

        Parameters
        ----------
        name : str
            For instance ``"1abc_A"``.

        Returns
        -------
        tuple of (Path, int)
            File, and row counted from 0.

        Raises
        ------
        KeyError
            If no chain has this name.
        """
        number, row = self._places[name]
        return self._files[number], row

    def close(self) -> None:
        """Close all files; they are opened again when needed."""
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, number: int) -> ParquetTokens:
        if number in self._open:
            self._open.move_to_end(number)
        else:
            self._open[number] = ParquetTokens(self._files[number])
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        return self._open[number]

    def _say(self, place: tuple[int, int]) -> str:
        number, row = place
        chain = self._file(number)[row]
        return f"{self._files[number]}: row {row} (chain {chain.chain_id} of {chain.source})"
