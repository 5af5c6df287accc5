"""What does a command tell its user on stderr, and which exit code follows from it?"""

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

_Item = TypeVar("_Item", covariant=True)


class SizedIterable(Sized, Iterable[_Item], Protocol[_Item]):
    """What a progress bar can be drawn for."""


class Report:
    """
    Print problems as they come, and count them.

    Attributes
    ----------
    problems : int
        Number of problems so far.
    """

    def __init__(self) -> None:
        self.problems = 0
        self._warned: set[str] = set()

    def problem(self, problem: object) -> None:
        """
        Print one problem as one line on stderr.

        Parameters
        ----------
        problem : object
            Its text names the file, the chain and the reason.
        """
        self.problems += 1
        print(problem, file=sys.stderr)

    def warn_once(self, text: str) -> None:
        """
        Print what the user should know, the first time that it is said.

        Parameters
        ----------
        text : str
            No problem: the exit code does not change.
        """
        if text not in self._warned:
            self._warned.add(text)
            print(f"warning: {text}", file=sys.stderr)

    @property
    def exit_code(self) -> int:
        """1 if there was a problem, 0 otherwise."""
        return 1 if self.problems else 0

    def summary(self, done: str) -> None:
        """
        Print what was done, and how many problems there were, on stderr.

        Parameters
        ----------
        done : str
            For instance ``"3 chains encoded"``.
        """
        tail = f"; {count(self.problems, 'problem')}, listed above" if self.problems else ""
        print(f"{done}{tail}", file=sys.stderr)


def count(number: int, noun: str) -> str:
    """
    Return a number and its noun.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular.

    Returns
    -------
    str
        For instance ``"1 chain"``.

    Examples
    --------
    >>> count(1, "chain"), count(0, "file")
    ('1 chain', '0 files')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(
    items: SizedIterable[_Item], *, label: str, writes_stdout: bool = False
) -> Iterator[Iterable[_Item]]:
    """
    Show how much of a sequence has been consumed, on stderr, if somebody is watching.

    Parameters
    ----------
    items : sequence
        What will be consumed.
    label : str
        Stands before the bar.
    writes_stdout : bool
        Whether the command prints its results. If those go to the same terminal, they are
        progress enough.

    Yields
    ------
    iterable
        The same items.
    """
    watched = sys.stderr.isatty() and not (writes_stdout and sys.stdout.isatty())
    if not watched:
        yield items
        return
    from rich.console import Console
    from rich.progress import Progress

    # stdout is data: rich must not get hold of it. stderr it has, to print above the bar.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        yield bar.track(items, total=len(items), description=label)
