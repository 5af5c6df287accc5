"""What does the name of a file, or of a member of an archive, say that it is?"""

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "structure", "tar", "zip", "foldcomp", "trajectory", "other archive", "other"
]

_COMPRESSIONS = ("", ".gz", ".zst")
STRUCTURE_SUFFIXES = tuple(
    stem + packed
    for stem in (".cif", ".mmcif", ".bcif", ".pdb", ".ent")
    for packed in _COMPRESSIONS
)
"""Endings of structure files."""
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst")
"""Endings of tar archives that are read."""
TRAJECTORY_SUFFIXES = (
    ".xtc", ".trr", ".dcd", ".nc", ".netcdf", ".ncdf", ".h5", ".hdf5", ".lh5", ".mdcrd", ".crd",
    ".lammpstrj", ".gsd",
)  # fmt: skip
"""Endings of trajectories that mdtraj reads."""
_SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "structure": STRUCTURE_SUFFIXES,
    "tar": TAR_SUFFIXES,
    "zip": (".zip",),
    "foldcomp": (".fcz",),
    "trajectory": TRAJECTORY_SUFFIXES,
    "other archive": (
        ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.lz4", ".tar.z", ".7z", ".rar",
    ),
}  # fmt: skip
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SEPARATORS = re.compile(r"[\\/]")
_RESOURCE_FORKS = "__MACOSX"

UNREAD_ARCHIVE = "an archive of a kind that is not read; repack it as .tar, .tar.gz or .zip"
"""What is said of archives in other formats."""


def kind_of(name: str) -> Kind:
    """
    Return what a name says that its file is.

    Parameters
    ----------
    name : str
        A file name or path; case does not matter.

    Returns
    -------
    str
        ``"structure"``, ``"tar"``, ``"zip"``, ``"foldcomp"``, ``"trajectory"``,
        ``"other archive"`` (not read) or ``"other"``.

    Examples
    --------
    >>> kind_of("AF-P12345-F1-model_v4.cif.gz"), kind_of("set.tgz"), kind_of("notes.txt.gz")
    ('structure', 'tar', 'other')
    """
    lowered = name.lower()
    for kind, suffixes in _SUFFIXES.items():
        if lowered.endswith(suffixes):
            return kind
    return "other"


def inner_path(name: str) -> str:
    """
    Return the name of an archive's member without empty and ``.`` parts.

    Parameters
    ----------
    name : str
        The name as the archive has it.

    Returns
    -------
    str
        For instance ``"a/b.cif"`` for ``"./a//b.cif"``; an absolute path stays absolute.
    """
    start = "/" if name.startswith("/") else ""
    return start + "/".join(part for part in name.split("/") if part not in ("", "."))


def escape(name: str) -> str | None:
    """
    Return why a member's name leads out of its archive, or None if it does not.

    Parameters
    ----------
    name : str
        The name as the archive has it.

    Returns
    -------
    str or None
        A reason in one line.

    Examples
    --------
    >>> escape("../1abc.cif")
    "its path leads out of the archive ('..')"
    >>> escape("a/1abc..cif") is None
    True
    """
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "its path is absolute; a member of an archive has a relative one"
    if ".." in _SEPARATORS.split(name):
        return "its path leads out of the archive ('..')"
    return None


def is_hidden(parts: Iterable[str]) -> bool:
    """
    Return whether a file is one that file managers hide.

    Parameters
    ----------
    parts : iterable of str
        The parts of a relative path.

    Returns
    -------
    bool
        True if a part begins with a dot, or is the folder of resource forks that macOS adds to
        archives.

    Examples
    --------
    >>> is_hidden(["a", "._1abc.cif"]), is_hidden(["a", "1abc.cif"])
    (True, False)
    """
    return any(part.startswith(".") or part == _RESOURCE_FORKS for part in parts)
