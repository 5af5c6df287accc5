"""Whose is a run's folder, and was it made with the same configuration?"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provq_protein.batch.shards import write_synced
from provq_protein.errors import ConfigError, TokenFormatError

CONFIGURATION = "run.json"
TOTALS = "inputs.json"
_WORK = ".work-"
_TAKEN = -1
_ATTEMPTS = 5
_SECONDS_BETWEEN = 0.1
# Seconds after which the folder of a job that holds no lock is taken for abandoned.
_YOUNG = 60.0


def check_folder(out: Path, *, part: tuple[int, int], resume: bool) -> None:
    """
    Refuse a folder that is not for this run.

    Parameters
    ----------
    out : Path
        The run's folder; may not exist.
    part : tuple of int
        Which job this is, from 1, of how many.
    resume : bool
        Whether to go on with what is there.

    Raises
    ------
    TokenFormatError
        If it holds something else, or a run and `resume` is False, or cannot be written to.
    """
    problem = None
    if out.exists() and not out.is_dir():
        problem = "is a file; name a folder"
    elif not out.exists() and not out.parent.is_dir():
        problem = f"the folder {out.parent} does not exist; create it first"
    elif not os.access(out if out.exists() else out.parent, os.W_OK):
        problem = "is not writable; choose another folder"
    elif (out / CONFIGURATION).exists():
        if not resume and (part[1] == 1 or _has_begun(out, part)):
            problem = "holds a run already; go on with it (--resume), or name a new folder"
    elif out.exists() and any(not path.name.startswith(".") for path in out.iterdir()):
        problem = f"is not empty and holds no run ({CONFIGURATION}); name a new folder"
    if problem:
        msg = f"{out}: {problem}"
        raise TokenFormatError(msg)


def _has_begun(out: Path, part: tuple[int, int]) -> bool:
    numbers = (int(path.stem.rsplit("-", 1)[1]) for path in out.glob("manifest-*.jsonl"))
    return any(number % part[1] == part[0] - 1 for number in numbers)


def agree(out: Path, name: str, mine: Mapping[str, Any], *, where: str) -> None:
    """
    Say once and for all what holds for every job in a folder.

    Parameters
    ----------
    out : Path
        The run's folder.
    name : str
        A file in it.
    mine : mapping
        What this job says; JSON values.
    where : str
        What differs, for the error message.

    Raises
    ------
    ConfigError
        If another job said something else.
    """
    path = out / name
    if not path.exists():
        _publish(path, (json.dumps(mine, indent=1) + "\n").encode("ascii"))
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path}: damaged, not JSON ({error}); name a new folder"
        raise ConfigError(msg) from error
    if theirs == mine:
        return
    theirs = theirs if isinstance(theirs, dict) else {}
    differences = [
        f"{key} was {json.dumps(theirs.get(key))} and is now {json.dumps(mine.get(key))}"
        for key in dict.fromkeys((*theirs, *mine))
        if theirs.get(key) != mine.get(key)
    ]
    msg = (
        f"{path}: {where}: {'; '.join(differences)}; use what was used before, or name a new folder"
    )
    raise ConfigError(msg)


def _publish(path: Path, content: bytes) -> None:
    """Write a file unless another job does so first."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        write_synced(temporary, content)
        try:
            # Unlike a rename, this fails if the name is taken.
            path.hardlink_to(temporary)
        except FileExistsError:
            return
        except OSError:
            temporary.replace(path)  # a file system without hard links
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def claimed(out: Path, part: tuple[int, int]) -> Iterator[Path]:
    """
    Make the folder and keep other jobs from doing the same part at the same time.

    Parameters
    ----------
    out : Path
        The run's folder; created if absent.
    part : tuple of int
        Which job this is, from 1, of how many.

    Yields
    ------
    Path
        A folder for unfinished files, emptied of what a killed job left there.

    Raises
    ------
    TokenFormatError
        If another job is at work on the same part.

    Notes
    -----
    The operating system takes the lock back however the job ends. Where it knows no locks,
    nobody is kept out and nothing is emptied: two jobs that do the same are wasteful, not
    wrong.
    """
    out.mkdir(exist_ok=True)
    work = out / f"{_WORK}{part[0]}-of-{part[1]}"
    descriptor = _locked(work / "lock")
    if descriptor is None:
        shutil.rmtree(work, ignore_errors=True)
        work = work.with_name(f"{work.name}-{secrets.token_hex(6)}")
        work.mkdir()
    try:
        for leftover in work.iterdir():
            if leftover.name != "lock":
                leftover.unlink(missing_ok=True)
        _remove_abandoned(out, work)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _remove_abandoned(out: Path, mine: Path) -> None:
    """Remove what killed jobs that did other parts have left."""
    for folder in out.glob(f"{_WORK}*"):
        lock = folder / "lock"
        # A job that starts at this moment has made its folder and not yet locked it.
        if folder == mine or not lock.exists() or time.time() - lock.stat().st_mtime < _YOUNG:
            continue
        descriptor = _try_lock(lock)
        if descriptor is not None and descriptor != _TAKEN:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Open and lock a file; None if that is not possible here."""
    for attempt in range(_ATTEMPTS):
        path.parent.mkdir(exist_ok=True)
        descriptor = _try_lock(path)
        if descriptor != _TAKEN:
            return descriptor
        # Perhaps by a job that cleans up, and is done at once.
        time.sleep(_SECONDS_BETWEEN * (attempt + 1 < _ATTEMPTS))
    msg = (
        f"{path.parent.parent}: another job is at work on the same part of this run; wait "
        "for it, or give each job its own part (--shard 1/2, --shard 2/2)"
    )
    raise TokenFormatError(msg)


def _try_lock(path: Path) -> int | None:
    """Return a descriptor with the lock, `_TAKEN`, or None if there are no locks here."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return _TAKEN  # its owner has just removed the folder
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return _TAKEN if isinstance(error, BlockingIOError) else None
    if _is_open(path, descriptor):
        return descriptor
    os.close(descriptor)
    return _TAKEN


def _is_open(path: Path, descriptor: int) -> bool:
    """Tell whether the file still has the name under which it was opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
