"""How is a token sequence written as, and read from, one line of JSON?"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.tokens.table import FORMAT_NAME, check_format, version_of

_ARRAYS = ("ids", "resolved", "author_numbers", "label_numbers")
_TUPLES = ("residue_names", "insertion_codes")
_SCALARS = ("sequence", "chain_id", "label_chain_id", "model", "fingerprint", "codebook_size")


def to_json_line(tokens: TokenSequence) -> str:
    """
    Return one chain as one line of JSON, without the line end.

    Parameters
    ----------
    tokens : TokenSequence
        One chain.

    Returns
    -------
    str
        A JSON object in pure ASCII: ``file``, ``chain_id``, ``ids``, ``sequence``,
        ``residue_ids``, ``resolved``, then everything else that the sequence knows.
    """
    record: dict[str, Any] = {
        "file": tokens.source,
        "chain_id": tokens.chain_id,
        "ids": tokens.ids.tolist(),
        "sequence": tokens.sequence,
        "residue_ids": list(tokens.residue_ids),
        "resolved": tokens.resolved.tolist(),
        "residue_names": list(tokens.residue_names),
        "author_numbers": tokens.author_numbers.tolist(),
        "insertion_codes": list(tokens.insertion_codes),
        "label_numbers": tokens.label_numbers.tolist(),
        "label_chain_id": tokens.label_chain_id,
        "model": tokens.model,
        "fingerprint": tokens.fingerprint,
        "codebook_size": tokens.codebook_size,
        "format": FORMAT_NAME,
        "format_version": version_of([tokens]),
    }
    if tokens.mean_plddt is not None:
        record["mean_plddt"] = tokens.mean_plddt
    if tokens.context != "chain":
        record["context"] = tokens.context
    return json.dumps(record, separators=(",", ":"))


def from_json_line(line: str, *, where: str) -> TokenSequence:
    """
    Read one chain from one line of JSON: the inverse of `to_json_line`.

    Parameters
    ----------
    line : str
        A JSON object.
    where : str
        File and line, for error messages.

    Returns
    -------
    TokenSequence
        The chain.

    Raises
    ------
    TokenFormatError
        If the line is no JSON object, lacks a key, is of an unknown version, or holds
        values that are no tokenization.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: truncated or damaged line, not JSON ({error})"
        raise TokenFormatError(msg) from error
    if not isinstance(record, dict) or "format" not in record or "format_version" not in record:
        msg = f"{where}: not a line of a token file: no format and format_version"
        raise TokenFormatError(msg)
    check_format(record["format"], record["format_version"], file=where)
    keys = ("file", "residue_ids", *_ARRAYS, *_TUPLES, *_SCALARS)
    absent = [key for key in keys if key not in record]
    if absent:
        msg = f"{where}: not a complete line of a token file: it lacks {', '.join(absent)}"
        raise TokenFormatError(msg)
    for key in ("residue_ids", *_ARRAYS, *_TUPLES):
        if not isinstance(record[key], list):
            msg = f"{where}: {key} must be a list, got {type(record[key]).__name__}"
            raise TokenFormatError(msg)
    return _sequence(record, where)


def write_jsonl(path: Path, tokens: Iterable[TokenSequence]) -> None:
    """
    Write one line of JSON per chain.

    Parameters
    ----------
    path : Path
        File to create.
    tokens : iterable of TokenSequence
        Chains, in order.
    """
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(to_json_line(chain) + "\n" for chain in tokens)


def read_jsonl(path: Path) -> list[TokenSequence]:
    """
    Read what `write_jsonl` or ``provq-protein encode`` wrote.

    Parameters
    ----------
    path : Path
        A file with one JSON object per line; blank lines are skipped.

    Returns
    -------
    list of TokenSequence
        In stored order.

    Raises
    ------
    TokenFormatError
        If a line is damaged, incomplete or of an unknown version.
    """
    chains = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    chains.append(from_json_line(line, where=f"{path}: line {number}"))
    except UnicodeDecodeError as error:
        msg = f"{path}: damaged file, not UTF-8 text ({error})"
        raise TokenFormatError(msg) from error
    return chains


def _sequence(record: dict[str, Any], where: str) -> TokenSequence:
    try:
        tokens = TokenSequence(
            source=record["file"],
            **{key: _array(record[key], key) for key in _ARRAYS},
            **{key: tuple(record[key]) for key in _TUPLES},
            **{key: record[key] for key in _SCALARS},
            mean_plddt=record.get("mean_plddt"),
            context=record.get("context", "chain"),
        )
        if list(tokens.residue_ids) != record["residue_ids"]:
            msg = "residue_ids contradict author_numbers and insertion_codes"
            raise TokenFormatError(msg)
    except TokenFormatError as error:
        msg = f"{where}: {error}"
        raise TokenFormatError(msg) from error
    return tokens


def _array(values: list[Any], key: str) -> np.ndarray[Any, Any]:
    # JSON's true would pass for 1 and 1 for true, if NumPy were asked to convert.
    expected = bool if key == "resolved" else int
    if any(type(value) is not expected for value in values):
        msg = f"{key} must be a list of {expected.__name__}"
        raise TokenFormatError(msg)
    try:
        return np.array(values, dtype=np.bool_ if expected is bool else np.int64)
    except OverflowError as error:
        msg = f"{key} must fit into 32 bits"
        raise TokenFormatError(msg) from error
