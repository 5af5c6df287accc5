"""What the command `provq-vision` answers while the image tokenizer is not built."""

import sys
from collections.abc import Sequence

_NOT_BUILT = """\
provq-vision: not built yet: this version of provq has no image tokenizer.
The quantizer it will use is provq_protein.quantize; protein structures: provq-protein --help.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Say that the image tokenizer is not built yet.

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
