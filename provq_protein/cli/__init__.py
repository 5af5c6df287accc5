"""What does ``provq-protein`` do with its command line?"""

import argparse
from collections.abc import Sequence
from importlib import import_module

from provq_protein import __version__
from provq_protein.runs.command_line import EXIT_CODES, carry_out

# One module each, with `add_parser(subparsers)` and `run(args) -> int`. They are imported for
# `--help`, so none of them may import torch before it runs.
COMMANDS = (
    "encode",
    "decode",
    "info",
    "inspect",
    "export",
    "prepare",
    "train",
    "evaluate",
    "roundtrip",
    "stability",
    "dynamics",
    "report",
    "codebook",
    "doctor",
    "convert-checkpoint",
)

_DESCRIPTION = "Turn protein structure files into discrete tokens, and tokens into structures."


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of all subcommands.

    Returns
    -------
    ArgumentParser
        Its result has ``run``, the function that carries out the subcommand.
    """
    parser = argparse.ArgumentParser(
        prog="provq-protein", description=_DESCRIPTION, epilog=EXIT_CODES, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"provq {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = name.replace("-", "_")
        import_module(f"provq_protein.cli.{module}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """
    Carry out one command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of this process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        With code 2 if the arguments cannot be parsed, 0 after ``--help``.
    """
    return carry_out("provq-protein", build_parser().parse_args(argv))
