"""Which files make a shard, and how do they appear all at once?"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provq_protein.batch.manifest import ManifestRow, manifest_bytes
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.tokens.formats import save_tokens
from provq_protein.tokens.sequence import TokenSequence


@dataclass(frozen=True)
class ShardSettings:
    """
    What all shards of a run have in common.

    Parameters
    ----------
    out : Path
        The run's folder.
    work : Path
        Folder for unfinished files, on the same file system.
    format : str
        Format of the token files.
    policy : ResiduePolicy
        What is taken of each member.
    precision : str
        What was asked for: ``"exact"`` or ``"fast"``.
    """

    out: Path
    work: Path
    format: str
    policy: ResiduePolicy = CONTRACT
    precision: str = "exact"


def token_file(out: Path, number: int, format: str) -> Path:
    """
    Return where the tokens of a shard lie.

    Parameters
    ----------
    out : Path
        The run's folder.
    number : int
        The shard, from 0.
    format : str
        Format of the token files.

    Returns
    -------
    Path
        For instance ``out/tokens-000012.parquet``.
    """
    return out / f"tokens-{number:06d}.{format}"


def manifest_file(out: Path, number: int) -> Path:
    """
    Return where the manifest of a shard lies: a shard is done if, and only if, it is there.

    Parameters
    ----------
    out : Path
        The run's folder.
    number : int
        The shard, from 0.

    Returns
    -------
    Path
        For instance ``out/manifest-000012.jsonl``.
    """
    return out / f"manifest-{number:06d}.jsonl"


def write_shard(
    number: int,
    tokens: Sequence[TokenSequence],
    rows: Sequence[ManifestRow],
    settings: ShardSettings,
) -> None:
    """
    Put a shard into the run's folder.

    Parameters
    ----------
    number : int
        The shard, from 0.
    tokens : sequence of TokenSequence
        Its chains.
    rows : sequence of ManifestRow
        What became of its members.
    settings : ShardSettings
        Where and how.

    Raises
    ------
    OSError
        If a file cannot be written.

    Notes
    -----
    Both files are written elsewhere and synced to the disk. Then the token file gets its
    name, and after it the manifest. A run that is killed anywhere in between leaves no
    manifest, and the shard is made once more; the files of an equal shard have equal bytes,
    so that two jobs may even do this at the same time.
    """
    unfinished = settings.work / f"{secrets.token_hex(6)}-{number:06d}"
    try:
        save_tokens(unfinished, tokens, format=settings.format)
        unfinished.replace(token_file(settings.out, number, settings.format))
        _sync_folder(settings.out)
        write_synced(unfinished, manifest_bytes(rows))
        unfinished.replace(manifest_file(settings.out, number))
        _sync_folder(settings.out)
    finally:
        unfinished.unlink(missing_ok=True)


def write_synced(path: Path, content: bytes) -> None:
    """
    Write a file and wait until it is on the disk.

    Parameters
    ----------
    path : Path
        A file to create.
    content : bytes
        What it will hold.

    Raises
    ------
    OSError
        If that fails.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Without this, a power cut may keep the manifest's name and lose that of the tokens.
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
