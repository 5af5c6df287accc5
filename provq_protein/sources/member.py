"""What is one structure among many inputs, and how large may it be?"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from provq_protein.errors import ConfigError

if TYPE_CHECKING:
    from provq_protein.structure.backbone import Backbone

Source: TypeAlias = Literal["file", "tar", "zip", "foldcomp", "trajectory"]


@dataclass(frozen=True)
class Member:
    """
    One structure, or the reason why there is none.

    At most one of `path`, `content`, `problem` and `chain` is given. None is given for a member
    that the caller did not want.

    Parameters
    ----------
    name : str
        What rows and messages call it: the path as given, ``"archive.tar!inner/name.cif.gz"``
        or ``"run.xtc!frame 12"``. An archive that holds a name twice gives it twice.
    path : Path, optional
        A plain file on disk.
    content : bytes, optional
        The bytes of a structure file, compressed if the member of the archive is.
    problem : str, optional
        Why it cannot be read, in one line that does not repeat the name.
    source : {"file", "tar", "zip", "foldcomp", "trajectory"}
        Where it comes from. Coordinates of ``"foldcomp"`` have been compressed with a loss.
    chain : Backbone, optional
        The chain itself, from sources without structure files.

    Examples
    --------
    >>> Member("set.tar!1abc.cif", problem="is a symbolic link", source="tar").problem
    'is a symbolic link'
    """

    name: str
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)
    problem: str | None = None
    source: Source = "file"
    chain: "Backbone | None" = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """
    How much an input may expand to before it is refused.

    Parameters
    ----------
    member_bytes : int
        Largest member of an archive or database, as stored in it: a structure file that is
        itself compressed counts compressed. The text of a FoldComp entry counts expanded.
    archive_bytes : int
        Most bytes that one compressed archive may expand to. A plain tar does not expand.
    archive_members : int
        Most entries of one archive, whatever they are.
    ratio : float
        Most expanded bytes for each compressed one.
    ratio_after : int
        Bytes that may be expanded before `ratio` is looked at.

    Raises
    ------
    ConfigError
        If a limit is not positive.

    Examples
    --------
    >>> Limits(member_bytes=10**6).member_bytes
    1000000
    """

    member_bytes: int = 1 << 30
    archive_bytes: int = 1 << 40
    archive_members: int = 10_000_000
    ratio: float = 200.0
    ratio_after: int = 16 << 20

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through."""
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not value > 0:
                msg = f"limit {limit.name} must be positive, got {value!r}"
                raise ConfigError(msg)


def over_limit(name: str, limit: float, found: str) -> str:
    """
    Return the message that a limit is exceeded.

    Parameters
    ----------
    name : str
        Field of `Limits`.
    limit : float
        Its value.
    found : str
        What was found, for instance ``"holds 5 GB"``.

    Returns
    -------
    str
        One line with the name of the limit and what to do.

    Examples
    --------
    >>> over_limit("ratio", 200.0, "expands 900-fold")
    'expands 900-fold, more than the limit ratio=200; raise it if you trust the input'
    """
    shown = f"{limit:,.0f}" if limit >= 1 else f"{limit:g}"
    return f"{found}, more than the limit {name}={shown}; raise it if you trust the input"
