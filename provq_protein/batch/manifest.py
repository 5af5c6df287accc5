"""What became of every input of a run, one row per chain?"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

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
        How tokens are computed: ``"exact"`` or ``"fast"``.
    fast : dict or None
        Where fast precision was asked for. What it did for the chain: ``products``,
        ``threshold``, ``residues``, ``rechecked``, ``audited``, ``mismatches``, as in
        `provq_protein.model.fast_encoding.FastReport`. Or, as ``exact_because``, why it was
        not used. A row without has no such column.
    model : int or None
        Model of the file, where another than the first was asked for; else there is no such
        column.
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
    fast: dict[str, Any] | None = None
    model: int | None = None

    def to_line(self) -> str:
        """
        Return the row as a line of JSON.

        Returns
        -------
        str
            One object in pure ASCII, without the line end.
        """
        values = {name: value for name, value in vars(self).items() if name in _COLUMNS or value}
        return json.dumps(values, separators=(",", ":"))


_KINDS: dict[tuple[str, ...], tuple[type, ...]] = {
    ("index", "residues", "resolved"): (int,),
    ("member", "source", "status", "fingerprint", "precision"): (str,),
    ("chain_id", "reason"): (str, type(None)),
    ("ms",): (int, float),
}
_COLUMNS = frozenset(field.name for field in fields(ManifestRow)) - {"fast", "model"}


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
    fast = record.get("fast", {}) if isinstance(record, dict) else None
    if not isinstance(fast, dict) or record.keys() - {"fast", "model"} != _COLUMNS:
        msg = (
            f"{where}: not a row of a manifest; expected an object with "
            f"{', '.join(sorted(_COLUMNS))}; delete the file to do the shard again"
        )
        raise TokenFormatError(msg)
    problem = _contradiction(record)
    if problem:
        msg = f"{where}: {problem}; delete the file to do the shard again"
        raise TokenFormatError(msg)
    return ManifestRow(**record)


def _contradiction(record: dict[str, Any]) -> str | None:
    """Return what is wrong with the values of a row."""
    for names, kinds in _KINDS.items():
        for name in names:
            value = record[name]
            if not isinstance(value, kinds) or isinstance(value, bool):
                return f"{name} is {value!r:.40}, which no run writes"
    model = record.get("model", 1)
    if not isinstance(model, int) or isinstance(model, bool) or model < 1:
        return f"model is {model!r:.40}, which no run writes"
    if record["status"] not in STATUSES or (record["reason"] is None) != (record["status"] == "ok"):
        return f"status is {record['status']!r:.40} with reason {record['reason']!r:.40}"
    if not 0 <= record["resolved"] <= record["residues"] or record["index"] < 0:
        return "index, residues and resolved contradict each other"
    return None
