"""How are token sequences stored in, and read from, a Parquet file (extra ``parquet``)?"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from provq_protein.errors import TokenFormatError
from provq_protein.extras import require_extra
from provq_protein.tokens.parquet_rows import CONTEXT, from_table, table_schema, to_batch
from provq_protein.tokens.parquet_seal import check_seal, seal
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.tokens.table import FORMAT_NAME, FORMAT_VERSION, check_format, version_of

# What is read at once to get at one chain; more compress no better.
CHAINS_PER_ROW_GROUP = 1000

_PREFIX = "provq."
_DICTIONARY = ("residue_names", "insertion_codes")
# Measured on real tokens in benchmarks/token_formats: the low byte of a code is noise, the high
# ones are not; residue numbers mostly count up.
_ENCODINGS = {
    "tokens.list.element": "BYTE_STREAM_SPLIT",
    "author_numbers.list.element": "DELTA_BINARY_PACKED",
    "label_numbers.list.element": "DELTA_BINARY_PACKED",
    "id": "DELTA_BYTE_ARRAY",
    "source": "DELTA_BYTE_ARRAY",
}
_REPEATED = ("chain_id", "label_chain_id", "model", "fingerprint", "codebook_size")
# Tokens take 10 % less than at levels below, and take no longer to read.
_COMPRESSION_LEVEL = 13


def require_pyarrow() -> ModuleType:
    """
    Import pyarrow, or say which extra brings it.

    Returns
    -------
    ModuleType
        The package.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return require_extra("pyarrow", extra="parquet", purpose="a Parquet token file")


def write_parquet(path: Path, tokens: Iterable[TokenSequence], *, names: str = "name") -> int:
    """
    Write token sequences as a table with one row per chain.

    Parameters
    ----------
    path : Path
        File to create.
    tokens : iterable of TokenSequence
        Chains, in order; no more than a row group of them is held in memory.
    names : {"name", "path"}, optional
        What the column ``id`` holds: `provq_protein.tokens.chain_names.chain_name`, or
        `provq_protein.tokens.chain_names.chain_path`.

    Returns
    -------
    int
        Number of chains.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.

    Notes
    -----
    With one release of pyarrow, equal tokens give equal bytes.
    """
    arrow, parquet = require_pyarrow(), _parquet()
    schema = table_schema(arrow)
    remaining = iter(tokens)
    number = 0
    meanings: set[tuple[str, int]] = set()
    version = FORMAT_VERSION
    with parquet.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=_COMPRESSION_LEVEL,
        use_dictionary=[*(f"{name}.list.element" for name in _DICTIONARY), *_REPEATED],
        column_encoding=_ENCODINGS,
        write_statistics=["id"],
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        while group := list(islice(remaining, CHAINS_PER_ROW_GROUP)):
            number += len(group)
            version = max(version, version_of(group))
            meanings |= {(chain.fingerprint, chain.codebook_size) for chain in group}
            writer.write_batch(
                to_batch(arrow, group, names=names), row_group_size=CHAINS_PER_ROW_GROUP
            )
        writer.add_key_value_metadata(_metadata(meanings, version))
    seal(path)
    return number


def read_parquet(path: Path) -> list[TokenSequence]:
    """
    Read what `write_parquet` wrote.

    Parameters
    ----------
    path : Path
        A Parquet token file.

    Returns
    -------
    list of TokenSequence
        In stored order.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    TokenFormatError
        If the file is damaged, of another kind, or of an unknown version.
    """
    return list(iterate_parquet(path))


def iterate_parquet(path: Path) -> Iterator[TokenSequence]:
    """
    Check a whole file, then yield its chains with one row group in memory.

    Parameters
    ----------
    path : Path
        A Parquet token file.

    Yields
    ------
    TokenSequence
        In stored order.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    TokenFormatError
        If the file is damaged, of another kind, or of an unknown version; if it has the
        checksums of `write_parquet`, before the first chain.
    """
    with ParquetTokens(path, check_pages=True) as file:
        yield from file


class ParquetTokens:
    """
    One Parquet token file, of which single chains can be read.

    Parameters
    ----------
    path : Path
        A Parquet token file.
    check_pages : bool, optional
        Whether to compare the whole file with its checksum first, not only its footer. What is
        read later is checked page by page in any case.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    TokenFormatError
        If the file is damaged, of another kind, or of an unknown version.
    """

    def __init__(self, path: Path, *, check_pages: bool = False) -> None:
        parquet = _parquet()
        self.path = path
        check_seal(path, pages=check_pages)
        try:
            metadata = parquet.read_metadata(path)
            self._check_kind(metadata)
            self._file = parquet.ParquetFile(
                path,
                metadata=metadata,
                page_checksum_verification=True,
                # Halves the time to read a row group: few different texts become many objects.
                read_dictionary=[f"{name}.list.element" for name in _DICTIONARY],
            )
            groups = range(metadata.num_row_groups)
            sizes = [metadata.row_group(group).num_rows for group in groups]
        except _damage() as error:
            raise self._damaged(error) from error
        self._bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    def __enter__(self) -> "ParquetTokens":
        """Return this file."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self.close()

    def __len__(self) -> int:
        """Return the number of chains."""
        return int(self._bounds[-1])

    def __getitem__(self, row: int) -> TokenSequence:
        """Return the chain of one row, counted from 0."""
        if not 0 <= row < len(self):
            msg = f"{self.path}: no row {row}; it has {len(self)}"
            raise IndexError(msg)
        group = int(np.searchsorted(self._bounds, row, side="right")) - 1
        start = row - int(self._bounds[group])
        return self._chains(group, start, 1)[0]

    def __iter__(self) -> Iterator[TokenSequence]:
        """Yield all chains, with one row group in memory."""
        for group, size in enumerate(np.diff(self._bounds).tolist()):
            yield from self._chains(group, 0, size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def names(self) -> list[str]:
        """
        Read the names of all chains, and nothing else.

        Returns
        -------
        list of str
            One per row; the same name may occur twice.

        Raises
        ------
        TokenFormatError
            If the file is damaged.
        """
        try:
            return self._file.read(columns=["id"], use_threads=False)["id"].to_pylist()
        except _damage() as error:
            raise self._damaged(error) from error

    def _check_kind(self, metadata: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        stored = metadata.metadata or {}
        text = {key.decode("ascii", "replace"): value for key, value in stored.items()}
        name, version = (text.get(_PREFIX + key) for key in ("format", "format_version"))
        if name is None or version is None:
            msg = f"{self.path}: not a token file: a Parquet file that does not name its format"
            raise TokenFormatError(msg)
        number = int(version) if version.isdigit() else version.decode("ascii", "replace")
        check_format(name.decode("ascii", "replace"), number, file=str(self.path))
        found = {field.name: field.type for field in metadata.schema.to_arrow_schema()}
        for field in table_schema(require_pyarrow()):
            if field.name == CONTEXT and field.name not in found:
                continue
            if found.get(field.name) != field.type:
                msg = (
                    f"{self.path}: not a complete token file: column {field.name} must be "
                    f"{field.type}, got {found.get(field.name, 'none')}"
                )
                raise TokenFormatError(msg)

    def _chains(self, group: int, start: int, number: int) -> list[TokenSequence]:
        try:
            # One thread: who reads many files has a process per core already.
            table = self._file.read_row_group(group, use_threads=False)
            return from_table(table.slice(start, number), file=str(self.path))
        except TokenFormatError as error:
            msg = f"{self.path}: {str(error).removeprefix(f'{self.path}: ')}"
            raise TokenFormatError(msg) from error
        except _damage() as error:
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> TokenFormatError:
        if isinstance(error, TokenFormatError):
            return error
        reason = " ".join(str(error).split())
        msg = f"{self.path}: damaged Parquet file ({type(error).__name__}: {reason})"
        return TokenFormatError(msg)


def _parquet() -> ModuleType:
    require_pyarrow()
    return require_extra("pyarrow.parquet", extra="parquet", purpose="a Parquet token file")


def _damage() -> tuple[type[BaseException], ...]:
    # Arrow's errors are of these kinds, or OSError, which stands for damaged pages too.
    return (OSError, ValueError, LookupError, TypeError, OverflowError, NotImplementedError,
            MemoryError, require_pyarrow().ArrowException)  # fmt: skip


def _metadata(meanings: Iterable[tuple[str, int]], version: int) -> dict[str, str]:
    """What can be known about a file from its footer alone."""
    ordered = sorted(meanings)
    values = {
        "format": FORMAT_NAME,
        "format_version": str(version),
        "fingerprints": json.dumps([fingerprint for fingerprint, _ in ordered]),
        "codebook_sizes": json.dumps([size for _, size in ordered]),
    }
    return {_PREFIX + name: value for name, value in values.items()}
