"""How does a chain become a row of an Arrow table, and a row a chain?"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.chain_names import CHAIN_NAMES
from provq_protein.tokens.jsonl import from_json_line, to_json_line
from provq_protein.tokens.sequence import TokenSequence

# Component ids that follow from the letter. They are stored as null, which saves a fifth of a file.
_STANDARD = {
    "A": "ALA", "C": "CYS", "D": "ASP", "E": "GLU", "F": "PHE", "G": "GLY", "H": "HIS",
    "I": "ILE", "K": "LYS", "L": "LEU", "M": "MET", "N": "ASN", "P": "PRO", "Q": "GLN",
    "R": "ARG", "S": "SER", "T": "THR", "V": "VAL", "W": "TRP", "Y": "TYR",
}  # fmt: skip
CONTEXT = "context"
"""Null, or not there at all in files of earlier releases: the chain was encoded alone."""

_TEXT_LISTS = ("residue_names", "insertion_codes")
_TEXTS = ("sequence", "chain_id", "label_chain_id", "source", "fingerprint")
_NUMBERS = ("model", "codebook_size")
_OPTIONAL = ("mean_plddt", "as_json", CONTEXT)


def table_schema(arrow: ModuleType) -> Any:  # noqa: ANN401 - pyarrow has no types
    """
    Return the columns of a table of chains.

    Parameters
    ----------
    arrow : ModuleType
        The package pyarrow.

    Returns
    -------
    pyarrow.Schema
        Names, types and which columns may be null.
    """

    def many(kind: object, *, nullable: bool = False) -> object:
        return arrow.list_(arrow.field("element", kind, nullable=nullable))

    number, text = arrow.int32(), arrow.string()
    fields = {
        "id": text,
        "tokens": many(number),
        "resolved": many(arrow.bool_()),
        "sequence": text,
        "residue_names": many(text, nullable=True),
        "author_numbers": many(number),
        "insertion_codes": many(text),
        "label_numbers": many(number),
        "chain_id": text,
        "label_chain_id": text,
        "source": text,
        "model": number,
        "fingerprint": text,
        "codebook_size": number,
        "mean_plddt": arrow.float64(),
        "as_json": text,
        CONTEXT: text,
    }
    return arrow.schema(
        [arrow.field(name, kind, nullable=name in _OPTIONAL) for name, kind in fields.items()]
    )


def to_batch(
    arrow: ModuleType,
    chains: Sequence[TokenSequence],
    *,
    names: str,
) -> Any:  # noqa: ANN401
    """
    Return chains as rows.

    Parameters
    ----------
    arrow : ModuleType
        The package pyarrow.
    chains : sequence of TokenSequence
        One at least.
    names : {"name", "path"}
        What the column ``id`` holds.

    Returns
    -------
    pyarrow.RecordBatch
        Of `table_schema`. ``as_json`` holds a chain whose texts are no Unicode, as file names
        may be; its other columns have replacement characters.
    """
    schema = table_schema(arrow)
    offsets = np.concatenate([[0], np.cumsum([len(chain) for chain in chains])]).astype(np.int32)
    columns = {name: [getattr(chain, name) for chain in chains] for name in (*_TEXTS, *_NUMBERS)}
    columns["id"] = [CHAIN_NAMES[names](chain) for chain in chains]
    columns["mean_plddt"] = [chain.mean_plddt for chain in chains]
    columns[CONTEXT] = [None if chain.context == "chain" else chain.context for chain in chains]
    columns["as_json"] = [None if _is_unicode(chain) else to_json_line(chain) for chain in chains]
    flat: dict[str, Any] = {
        "tokens": np.concatenate([chain.ids for chain in chains]),
        "resolved": np.concatenate([chain.resolved for chain in chains]),
        "author_numbers": np.concatenate([chain.author_numbers for chain in chains]),
        "label_numbers": np.concatenate([chain.label_numbers for chain in chains]),
    }
    codes = [code for chain in chains for code in chain.insertion_codes]
    flat["insertion_codes"] = [_shown(code) for code in codes]
    flat["residue_names"] = [name for chain in chains for name in _unusual_names(chain)]
    arrays = []
    for field in schema:
        if field.name in flat:
            values = arrow.array(flat[field.name], type=field.type.value_type)
            array = arrow.ListArray.from_arrays(arrow.array(offsets), values, type=field.type)
        else:
            values = columns[field.name]
            values = [_shown(value) if isinstance(value, str) else value for value in values]
            array = arrow.array(values, type=field.type)
        arrays.append(array)
    return arrow.record_batch(arrays, schema=schema)


def from_table(table: Any, *, file: str) -> list[TokenSequence]:  # noqa: ANN401
    """
    Return rows as chains: the inverse of `to_batch`.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns of `table_schema`.
    file : str
        Where it comes from, for error messages.

    Returns
    -------
    list of TokenSequence
        One per row.

    Raises
    ------
    TokenFormatError
        If a row is no tokenization of a chain.
    """
    columns = {name: table[name].to_pylist() for name in (*_TEXTS, *_NUMBERS)}
    lists: dict[str, Any] = {name: _parts(table[name]) for name in ("tokens", "resolved")}
    lists |= {name: _parts(table[name]) for name in ("author_numbers", "label_numbers")}
    texts = {name: _texts(table[name]) for name in _TEXT_LISTS}
    means, exact = table["mean_plddt"].to_pylist(), table["as_json"].to_pylist()
    contexts = [None] * table.num_rows
    if CONTEXT in table.column_names:
        contexts = table[CONTEXT].to_pylist()
    chains = []
    for row in range(table.num_rows):
        if exact[row] is not None:
            chains.append(from_json_line(exact[row], where=f"{file}: row {row}"))
            continue
        chains.append(
            TokenSequence(
                ids=lists["tokens"][row],
                resolved=lists["resolved"][row],
                author_numbers=lists["author_numbers"][row],
                label_numbers=lists["label_numbers"][row],
                residue_names=_names(texts["residue_names"][row], columns["sequence"][row]),
                insertion_codes=tuple(texts["insertion_codes"][row]),
                mean_plddt=means[row],
                context="chain" if contexts[row] is None else contexts[row],
                **{name: values[row] for name, values in columns.items()},
            )
        )
    return chains


def _unusual_names(chain: TokenSequence) -> list[str | None]:
    """Component ids, None where the letter implies it."""
    pairs = zip(chain.sequence, chain.residue_names, strict=True)
    return [None if _STANDARD.get(letter) == name else _shown(name) for letter, name in pairs]


def _names(stored: Sequence[str | None], sequence: str) -> tuple[str, ...]:
    """The inverse of `_unusual_names`."""
    if len(stored) != len(sequence):
        msg = f"{len(sequence)} letters but {len(stored)} residue_names"
        raise TokenFormatError(msg)
    for letter, name in zip(sequence, stored, strict=True):
        if name is None and letter not in _STANDARD:
            msg = f"residue_names is null at {letter!r}, which is not one of the 20 amino acids"
            raise TokenFormatError(msg)
    pairs = zip(sequence, stored, strict=True)
    return tuple(_STANDARD[letter] if name is None else name for letter, name in pairs)


def _is_unicode(chain: TokenSequence) -> bool:
    """Whether no text has lone surrogates, as file names have that are no text."""
    texts = [*(getattr(chain, name) for name in _TEXTS)]
    texts += ["".join(getattr(chain, name)) for name in _TEXT_LISTS]
    return all(_shown(text) == text for text in texts)


def _shown(text: str) -> str:
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _parts(column: Any) -> list[NDArray[Any]]:  # noqa: ANN401
    """The arrays of a column of lists of numbers."""
    parts: list[NDArray[Any]] = []
    for chunk in column.chunks:
        parts += _split(chunk.flatten().to_numpy(zero_copy_only=False), chunk)
    return parts


def _texts(column: Any) -> list[list[Any]]:  # noqa: ANN401
    """The lists of a column of lists of text, of which there are few different ones."""
    parts: list[NDArray[Any]] = []
    for chunk in column.chunks:
        flat = chunk.flatten()
        flat = flat if hasattr(flat, "dictionary") else flat.dictionary_encode()
        words = np.array([*flat.dictionary.to_pylist(), None], dtype=object)
        indices = flat.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        parts += _split(words[indices], chunk)
    return [part.tolist() for part in parts]


def _split(values: NDArray[Any], lists: Any) -> list[NDArray[Any]]:  # noqa: ANN401
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []
