"""How is a page of results written with its figures, and known to be up to date?"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provq_protein.errors import ProvqError

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Page:
    """
    A page that a script of this folder's neighbors writes from committed results.

    Attributes
    ----------
    script : Path
        The script; its results lie beside it.
    description : str
        Of its command line.
    name : str
        File name of the page in ``docs/results``.
    load : callable
        Reads a folder of results.
    report : module
        With ``document(comparison, folder)`` and ``print_tables(comparison, console)``.
    figures : module
        With ``paths(folder, comparison)``, ``draw(comparison, results, folder)`` and
        ``is_current(path, comparison)``.
    """

    script: Path
    description: str
    name: str
    load: Callable[[Path], Any]
    report: Any
    figures: Any

    def main(self, argv: Sequence[str] | None = None) -> int:
        """
        Write or check.

        Parameters
        ----------
        argv : sequence of str, optional
            Arguments; by default those of this process.

        Returns
        -------
        int
            0; 1 if something is stale, 2 if something cannot be read.
        """
        args = self._parser().parse_args(argv)
        folder = args.figures or args.page.parent
        relative = Path(os.path.relpath(folder.resolve(), args.page.parent.resolve())).as_posix()
        try:
            comparison = self.load(args.results)
            text = self.report.document(comparison, "" if relative == "." else f"{relative}/")
            if args.check:
                return self._check(comparison, text, args.page, folder)
            self._write(comparison, args.results, text, args.page, folder)
        except (ProvqError, OSError, ValueError) as error:
            print(f"{self.script.name}: error: {error}", file=sys.stderr)
            return 2
        return 0

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            description=self.description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument(
            "--results",
            type=Path,
            default=self.script.parent / "results",
            metavar="FOLDER",
            help="of the results and the pictures that they name",
        )
        parser.add_argument(
            "--page", type=Path, default=REPOSITORY / "docs" / "results" / self.name
        )
        parser.add_argument(
            "--figures", type=Path, metavar="FOLDER", help="of the figures (default: the page's)"
        )
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
        return parser

    def _write(self, comparison: Any, results: Path, text: str, page: Path, folder: Path) -> None:  # noqa: ANN401
        from rich.console import Console

        self.report.print_tables(comparison, Console())
        page.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.figures.draw(comparison, results, folder)
        page.write_text(text, encoding="utf-8")
        print("wrote", page, *self.figures.paths(folder, comparison), sep="\n  ")

    def _check(self, comparison: Any, text: str, page: Path, folder: Path) -> int:  # noqa: ANN401
        stale = [
            one
            for one in self.figures.paths(folder, comparison)
            if not self.figures.is_current(one, comparison)
        ]
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            stale.append(page)
        script = self.script.relative_to(REPOSITORY).as_posix()
        for one in stale:
            print(f"{one}: does not show the current results; run {script}", file=sys.stderr)
        return 1 if stale else 0
