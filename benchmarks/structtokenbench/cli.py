"""What the command `structtokenbench` answers while the benchmark is not built."""

import sys
from collections.abc import Sequence

_NOT_BUILT = """\
structtokenbench: not built yet: this version of provq has no downstream benchmark.
How well tokens reconstruct structures is measured already: provq-protein evaluate --help.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Say that the benchmark is not built yet.

    Parameters
    ----------
    argv : Sequence[str], optional
        Command line arguments; none is understood yet.

    Returns
    -------
    int
        Exit code 2, as for a command line that cannot be served.
    """
    del argv
    sys.stderr.write(_NOT_BUILT)
    return 2
