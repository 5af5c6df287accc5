"""What do the processes of a run tell each other?"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from provq_protein.sources import Member
    from provq_protein.structure.backbone import Backbone
    from provq_protein.tokens.sequence import TokenSequence


class Encoder(Protocol):
    """
    What turns one chain into tokens.

    Notes
    -----
    An encoder that computes in fast precision also has ``exact_because``, a text, or None where
    fast precision is used, and ``fast_facts``, what that did for the last chain: JSON values.
    """

    @property
    def fingerprint(self) -> str:
        """Identity of the model."""
        ...

    def encode(self, chain: "Backbone") -> "TokenSequence":
        """
        Return the tokens of one chain.

        Parameters
        ----------
        chain : Backbone
            With at least one resolved residue.

        Returns
        -------
        TokenSequence
            One token per resolved residue.
        """
        ...


LoadEncoder: TypeAlias = Callable[[], Encoder]


@dataclass
class ShardTask:
    """
    One shard that is to be made.

    Parameters
    ----------
    number : int
        Its number, from 0.
    first : int
        Index of its first member among all members of the run.
    members : sequence of Member
        What it is made of.
    condemned : dict of int to str
        Members, by position in the shard, that are not to be touched again, and why.
    deaths : Counter of int
        How often a worker died, by the position that it was at; -1 for none in particular.
    """

    number: int
    first: int
    members: "Sequence[Member]"
    condemned: dict[int, str] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)

    def order(self) -> list[int]:
        """
        Return the positions in the order in which a worker takes them.

        Returns
        -------
        list of int
            The members at which a worker died come first: if one of them kills the next
            worker too, nothing else has to be done once more.
        """
        return sorted(range(len(self.members)), key=lambda position: -self.deaths[position])


@dataclass(frozen=True)
class Counts:
    """
    How much has been done.

    Parameters
    ----------
    members : int
        Files, or parts of archives.
    ok : int
        Chains with tokens.
    skipped : int
        Rows of the manifest with that status.
    failed : int
        Rows of the manifest with that status.
    residues : int
        Residues of the chains with tokens.
    fast : int
        Residues encoded in fast precision.
    rechecked : int
        Those of them that were encoded again for being close to another code.
    audited : int
        Those of them that were encoded again to find out whether the others are right.
    mismatches : int
        Audited ones whose id was wrong.
    """

    members: int = 0
    ok: int = 0
    skipped: int = 0
    failed: int = 0
    residues: int = 0
    fast: int = 0
    rechecked: int = 0
    audited: int = 0
    mismatches: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Return the sums."""
        return Counts(
            *(mine + more for mine, more in zip(self.astuple(), other.astuple(), strict=True))
        )

    def __sub__(self, other: "Counts") -> "Counts":
        """Return the differences."""
        return Counts(
            *(mine - less for mine, less in zip(self.astuple(), other.astuple(), strict=True))
        )

    def astuple(self) -> tuple[int, ...]:
        """
        Return the numbers.

        Returns
        -------
        tuple of int
            In the order of the fields.
        """
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Ready:
    """
    A worker has loaded its model.

    Parameters
    ----------
    fingerprint : str
        Of the model.
    exact_because : str or None
        Why it computes exactly although fast precision was asked for.
    """

    fingerprint: str
    exact_because: str | None = None


@dataclass(frozen=True)
class Working:
    """
    A worker lives, and begins something.

    Parameters
    ----------
    position : int or None
        The member of the shard that it is at; None while it writes the shard.
    done : Counts
        What it has done of the shard.
    """

    position: int | None
    done: Counts


@dataclass(frozen=True)
class ShardDone:
    """
    A shard is in the folder.

    Parameters
    ----------
    number : int
        Which.
    counts : Counts
        What is in it.
    found : bool
        Whether it was there before this run began.
    """

    number: int
    counts: Counts
    found: bool = False


@dataclass(frozen=True)
class Stopped:
    """
    A worker cannot go on, and no other could.

    Parameters
    ----------
    kind : str
        Class of the exception.
    text : str
        Its message.
    errno : int or None
        The number of an operating system error.
    """

    kind: str
    text: str
    errno: int | None = None
