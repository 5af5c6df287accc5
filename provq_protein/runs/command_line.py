"""Which exit code does a program end with, whatever became of its command?"""

import argparse
import os
import sys

from provq_protein.errors import ProvqError

_SOME_INPUT_FAILED, _USAGE_ERROR = 1, 2
# What a shell reports for a program that was ended by SIGINT, or SIGPIPE.
_INTERRUPTED, _READER_GONE = 130, 141

EXIT_CODES = (
    "exit codes: 0 all went well; 1 some input could not be used (the reason is on stderr, the "
    "rest was done); 2 the command line cannot be carried out"
)


def carry_out(program: str, args: argparse.Namespace) -> int:
    """
    Carry out a command, and say in one line on stderr why it failed.

    Parameters
    ----------
    program : str
        Name of the program.
    args : Namespace
        The parsed options, with ``command``, its name, and ``run``, the function that carries it
        out and returns an exit code.

    Returns
    -------
    int
        The exit code.
    """
    where = f"{program} {args.command}"
    try:
        code = args.run(args)
        sys.stdout.flush()
    except ProvqError as error:
        sys.stderr.write(f"{where}: error: {error}\n")
        return _USAGE_ERROR
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would flush once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except KeyboardInterrupt:
        sys.stderr.write(f"{where}: interrupted\n")
        return _INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"{where}: error: {error}\n")
        return _SOME_INPUT_FAILED
    return code
