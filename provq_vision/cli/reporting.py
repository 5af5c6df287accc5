"""What does a command tell its user on stderr, and which exit code follows from it?"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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

    def problem(self, problem: object) -> None:
        """
        Print one problem as one line on stderr.

        Parameters
        ----------
        problem : object
            Its text names the image and the reason.
        """
        self.problems += 1
        print(problem, file=sys.stderr)

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
            For instance ``"3 images encoded"``.
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
        For instance ``"1 image"``.

    Examples
    --------
    >>> count(1, "image"), count(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(total: int, *, label: str) -> Iterator[Callable[[int], None]]:
    """
    Show how much of the work is done, on stderr, if somebody is watching.

    Parameters
    ----------
    total : int
        How much there is, for instance images.
    label : str
        Stands before the bar.

    Yields
    ------
    callable
        To be called with how much more has been done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    # stdout is data: rich must not get hold of it. stderr it has, to print above the bar.
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)
