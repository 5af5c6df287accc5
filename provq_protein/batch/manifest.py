"""What became of every input of a run, one row per chain?"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from provq_protein.errors import TokenFormatError

Status = Literal["ok", "skipped", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "skipped", "failed")


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """
    What became of one chain, or of a member that gave none.

    Parameters
    ----------
    index : int
        Position of the member among all members of the run, from 0.
    member : str
        The file as it was given, or ``archive!name`` for a part of an archive.
    source : str
        Where the member came from: ``"file"``, ``"tar"``, ``"zip"``, ...
    chain_id : str or None
        Author chain id; None if the row speaks of the whole member.
    status : {"ok", "skipped", "failed"}
        ``"ok"``: its tokens are in the shard. ``"skipped"``: it was read, and holds nothing
        to encode. ``"failed"``: it could not be read or encoded.
    reason : str or None
        One line; None if `status` is ``"ok"``.
    residues : int
        Length of the chain.
    resolved : int
        Residues that have a token.
    ms : float
        Milliseconds spent on the chain; the first row of a member includes its reading.
    fingerprint : str
        Of the model.
    precision : str
        How the tokens were computed.
    """

    index: int
    member: str
    source: str
    chain_id: str | None
    status: Status
    reason: str | None
    residues: int
    resolved: int
    ms: float
    fingerprint: str
    precision: str

    def to_line(self) -> str:
        """
        Return the row as a line of JSON.

        Returns
        -------
        str
            One object in pure ASCII, without the line end.
        """
        return json.dumps(vars(self), separators=(",", ":"))


_COLUMNS = frozenset(field.name for field in fields(ManifestRow))


def manifest_bytes(rows: Iterable[ManifestRow]) -> bytes:
    """
    Return the content of a manifest file.

    Parameters
    ----------
    rows : iterable of ManifestRow
        In the order of members, and of chains in each.

    Returns
    -------
    bytes
        A line of JSON per row.
    """
    return "".join(row.to_line() + "\n" for row in rows).encode("ascii")


def read_manifest(path: str | Path) -> list[ManifestRow]:
    """
    Read the manifest of one shard.

    Parameters
    ----------
    path : str or Path
        A ``manifest-*.jsonl`` file of a run folder.

    Returns
    -------
    list of ManifestRow
        In the order of members, and of chains in each.

    Raises
    ------
    TokenFormatError
        If the file cannot be read or holds anything else.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise TokenFormatError(msg) from error
    return [_row(line, f"{path}: line {number}") for number, line in enumerate(lines, start=1)]


def _row(line: str, where: str) -> ManifestRow:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = f"{where}: damaged, not JSON ({error}); delete the file to do the shard again"
        raise TokenFormatError(msg) from error
    if not isinstance(record, dict) or record.keys() != _COLUMNS:
        msg = (
            f"{where}: not a row of a manifest; expected an object with "
            f"{', '.join(sorted(_COLUMNS))}; delete the file to do the shard again"
        )
        raise TokenFormatError(msg)
    return ManifestRow(**record)
