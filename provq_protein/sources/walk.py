"""Which structures are there in files, folders, archives, databases and trajectories?"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from provq_protein.sources.foldcomp_database import database_members, file_member, is_database
from provq_protein.sources.kinds import UNREAD_ARCHIVE, kind_of
from provq_protein.sources.listing import Found, expand
from provq_protein.sources.member import Limits, Member
from provq_protein.sources.one_pass import OnePass
from provq_protein.sources.tar import tar_members
from provq_protein.sources.zip import zip_members

_DEFAULT_LIMITS = Limits()


def members(
    inputs: Iterable[str | Path],
    *,
    limits: Limits = _DEFAULT_LIMITS,
    wanted: Callable[[int], bool] | None = None,
    topology: str | Path | None = None,
    pattern: str | None = None,
) -> Iterator[Member]:
    """
    Yield every structure of the inputs, one after another.

    Parameters
    ----------
    inputs : iterable of str or Path
        Structure files, archives (``.tar``, ``.tar.gz``, ``.tgz``, ``.tar.zst``, ``.zip``),
        FoldComp files and databases, trajectories, folders of all but the last two, globs, and
        ``"-"`` for a list of such inputs on standard input.
    limits : Limits
        How much an archive or member may expand to.
    wanted : callable, optional
        Called once with the 0-based position of each member, in order. Where it returns False the
        member has a name only, and its bytes are not read (of a compressed tar: are not kept).
    topology : str or Path, optional
        A structure file that names the atoms of trajectories that do not name them.
    pattern : str, optional
        Glob for the names inside archives, folders and databases, which has to fit the whole path
        or its last part, such as ``"*.cif.gz"``. Inputs that are named singly need not fit.

    Returns
    -------
    iterator of Member
        In the order of the inputs, which does not depend on `wanted`. What cannot be read is a
        member with a problem.

    Raises
    ------
    TypeError
        If one input is given where a list is due.

    Notes
    -----
    Nothing is written, and no link inside an archive is followed. Archives are read once, from
    first to last, and hold one member in memory at a time.

    Examples
    --------
    >>> [(member.name, member.problem) for member in members(["absent.cif"])]
    [('absent.cif', 'no such file; check the path')]
    """
    if isinstance(inputs, str | Path):
        msg = f"inputs must be a list, got one {type(inputs).__name__}; write [input]"
        raise TypeError(msg)
    one_pass = OnePass(
        limits=limits,
        wanted=wanted,
        pattern=pattern,
        topology=None if topology is None else Path(topology),
    )
    return _members(inputs, one_pass)


def _members(inputs: Iterable[str | Path], one_pass: OnePass) -> Iterator[Member]:
    try:
        for found in expand(inputs, one_pass):
            yield from _of_file(found, one_pass)
    finally:
        one_pass.decoder.close()


def _of_file(found: Found, one_pass: OnePass) -> Iterator[Member]:
    name, path = found.name, found.path
    if path is None:
        yield one_pass.problem(name, found.problem or "cannot be read", "file")
        return
    kind = kind_of(path.name)
    if kind == "tar":
        yield from tar_members(name, path, one_pass)
    elif kind == "zip":
        yield from zip_members(name, path, one_pass)
    elif kind == "foldcomp":
        yield file_member(name, path, one_pass)
    elif kind == "trajectory":
        # Imported late: only trajectories need arrays.
        from provq_protein.sources.trajectory import trajectory_members

        yield from trajectory_members(name, path, one_pass)
    elif kind == "other archive":
        yield one_pass.problem(name, f"is {UNREAD_ARCHIVE}", "file")
    elif is_database(path):
        yield from database_members(name, path, one_pass)
    else:
        yield Member(name, path=path if one_pass.claim() else None)
