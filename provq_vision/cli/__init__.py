"""What does ``provq-vision`` do with its command line?"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from provq_protein.errors import ProvqError
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

OK, SOME_INPUT_FAILED, USAGE_ERROR = 0, 1, 2
# What a shell reports for a program that was ended by SIGINT, or SIGPIPE.
_INTERRUPTED, _READER_GONE = 130, 141

_DESCRIPTION = "Turn images into discrete tokens, and tokens into images; train what does so."
_EPILOG = (
    "exit codes: 0 all went well; 1 some input could not be used (the reason is on stderr, the "
    "rest was done); 2 the command line cannot be carried out"
)


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of all subcommands.

    Returns
    -------
    ArgumentParser
        Its result has ``run``, the function that carries out the subcommand.
    """
    parser = argparse.ArgumentParser(
        prog="provq-vision", description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False
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
    args = build_parser().parse_args(argv)
    try:
        code = args.run(args)
        sys.stdout.flush()
    except ProvqError as error:
        print(f"provq-vision {args.command}: error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would flush once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except KeyboardInterrupt:
        print(f"provq-vision {args.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except OSError as error:
        print(f"provq-vision {args.command}: error: {error}", file=sys.stderr)
        return SOME_INPUT_FAILED
    return code
