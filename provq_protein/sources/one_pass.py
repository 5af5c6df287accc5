"""What do all sources of one pass over the inputs share: the count, the limits, the choice?"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from provq_protein.errors import ProvqError
from provq_protein.sources.foldcomp_codec import FoldcompDecoder
from provq_protein.sources.kinds import UNREAD_ARCHIVE, escape, inner_path, is_hidden, kind_of
from provq_protein.sources.member import Limits, Member, Source, over_limit

_NAMED = (".cif", ".bcif", ".pdb", ".ent")


@dataclass(kw_only=True)
class OnePass:
    """
    The count of members so far, and what is asked of each.

    Parameters
    ----------
    limits : Limits
        How much may be expanded.
    wanted : callable, optional
        Called once with the 0-based position of each member; False skips its bytes.
    pattern : str, optional
        Glob that names inside archives, folders and databases have to match.
    topology : Path, optional
        Structure file that names the atoms of trajectories.
    """

    limits: Limits
    wanted: Callable[[int], bool] | None = None
    pattern: str | None = None
    topology: Path | None = None
    listed: int = field(default=0, init=False)
    decoder: FoldcompDecoder = field(default_factory=FoldcompDecoder, init=False)

    def claim(self) -> bool:
        """
        Count one more member.

        Returns
        -------
        bool
            Whether it is wanted. To be called exactly once for each member, in order.
        """
        position = self.listed
        self.listed += 1
        return self.wanted is None or bool(self.wanted(position))

    def problem(self, name: str, reason: str, source: Source) -> Member:
        """
        Count and return a member that cannot be read.

        Parameters
        ----------
        name : str
            What to call it.
        reason : str
            Why it cannot be read.
        source : str
            Where it comes from.

        Returns
        -------
        Member
            With the reason in one line, or without it where the member is not wanted.
        """
        line = " ".join(reason.split())
        return Member(name, problem=line if self.claim() else None, source=source)

    def matches(self, inner: str) -> bool:
        """
        Return whether the pattern lets a name through.

        Parameters
        ----------
        inner : str
            A path inside an archive, folder or database.

        Returns
        -------
        bool
            True if the pattern fits the path or its last part, or if there is none.
        """
        if self.pattern is None:
            return True
        return any(fnmatchcase(text, self.pattern) for text in (inner, inner.rsplit("/", 1)[-1]))

    def entry(
        self,
        archive: str,
        inner: str,
        *,
        size: int,
        special: str | None,
        read: Callable[[], bytes],
        source: Source,
    ) -> Member | None:
        """
        Return the member that an entry of an archive is.

        Parameters
        ----------
        archive : str
            The archive, as its user named it.
        inner : str
            The name of the entry.
        size : int
            Bytes of the entry, expanded, as the archive declares.
        special : str or None
            What the entry is if it is no regular file, for instance ``"a symbolic link"``.
        read : callable
            Returns the bytes; raises `ProvqError`. Called only if they are wanted.
        source : str
            ``"tar"`` or ``"zip"``.

        Returns
        -------
        Member or None
            None for an entry that is no structure, is hidden, or does not match the pattern.
        """
        clean = inner_path(inner)
        if not self.matches(clean):
            return None
        name = f"{archive}!{clean}"
        kind = kind_of(clean)
        if special is not None:
            return self.problem(name, f"is {special}, which is never followed", source)
        reason = escape(inner)
        if reason is None:
            if is_hidden(clean.split("/")) or kind in ("other", "trajectory"):
                return None
            reason = self._refusal(kind, size)
        if reason is not None:
            return self.problem(name, reason, source)
        origin: Source = "foldcomp" if kind == "foldcomp" else source
        if not self.claim():
            return Member(name, source=origin)
        try:
            content = read()
            if origin == "foldcomp":
                content = self.decoder.decode(content, limit=self.limits.member_bytes)
        except ProvqError as error:
            return Member(name, problem=" ".join(str(error).split()), source=origin)
        return Member(name, content=content, source=origin)

    def nothing_found(self, what: str) -> str:
        """
        Return the reason for an archive, folder or database without a member.

        Parameters
        ----------
        what : str
            ``"archive"``, ``"folder"`` or ``"database"``.

        Returns
        -------
        str
            One line.
        """
        matching = "" if self.pattern is None else f" that matches {self.pattern!r}"
        return f"the {what} holds no structure file{matching} ({', '.join(_NAMED)}, each also .gz)"

    def _refusal(self, kind: str, size: int) -> str | None:
        if kind in ("tar", "zip"):
            return "is an archive inside an archive, which is not unpacked; give it by itself"
        if kind == "other archive":
            return f"is {UNREAD_ARCHIVE}"
        if size > self.limits.member_bytes:
            return over_limit("member_bytes", self.limits.member_bytes, f"has {size:,} bytes")
        return None
