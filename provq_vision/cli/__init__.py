"""What does ``provq-vision`` do with its command line?"""

import argparse
from collections.abc import Sequence
from importlib import import_module

from provq_protein.runs.command_line import EXIT_CODES, carry_out
from provq_vision import __version__

# Modules, one command each (`evaluate` declares `eval`, for instance), with
# `add_parser(subparsers)` and `run(args) -> int`. They are imported for `--help`, so none may
# import torch before it runs.
COMMANDS = (
    "encode",
    "decode",
    "reconstruct",
    "train",
    "evaluate",
    "extract_codes",
    "train_ar",
    "sample",
    "evaluate_samples",
)

_DESCRIPTION = "Turn images into discrete tokens, and tokens into images; train what does so."


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of all subcommands.

    Returns
    -------
    ArgumentParser
        Its result has ``run``, the function that carries out the subcommand.
    """
    parser = argparse.ArgumentParser(
        prog="provq-vision", description=_DESCRIPTION, epilog=EXIT_CODES, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"provq {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        import_module(f"provq_vision.cli.{module}").add_parser(subparsers)
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
    return carry_out("provq-vision", build_parser().parse_args(argv))
