"""Which residues of a chain does a range of author numbers name?"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Backbone
from structtokenbench.errors import JoinError

_RANGE = re.compile(r"(-?\d+)([A-Za-z]?)-(-?\d+)([A-Za-z]?)")
# Sorts behind every insertion code, so that "100" as an end takes 100A along.
_AFTER_ALL_CODES = "~"


def in_ranges(chain: Backbone, ranges: Sequence[str], *, name: str = "") -> npt.NDArray[np.bool_]:
    """
    Return which residues lie in ranges of author numbers.

    Parameters
    ----------
    chain : Backbone
        The chain.
    ranges : sequence of str
        For instance ``["6-100", "-5-20", "52A-60"]``. An empty text is the whole chain, and so is
        an empty sequence.
    name : str
        What to call the chain in a message.

    Returns
    -------
    ndarray, shape=(residue,), dtype=bool
        True on residues of any range. An end without an insertion code takes all residues of its
        number.

    Raises
    ------
    JoinError
        If a text is no range, or its end lies before its start.

    Examples
    --------
    >>> chain = Backbone.from_arrays(np.zeros((4, 3, 3)), author_numbers=[-1, 0, 1, 2])
    >>> in_ranges(chain, ["-1-0", "2-9"])
    array([ True,  True, False,  True])
    """
    spans = [_span(text, name or chain.chain_id) for text in ranges if text != ""]
    if not spans:
        return np.ones(len(chain), dtype=np.bool_)
    keys = list(zip(chain.author_numbers.tolist(), chain.insertion_codes, strict=True))
    return np.array(
        [any(start <= key <= end for start, end in spans) for key in keys], dtype=np.bool_
    )


def _span(text: str, name: str) -> tuple[tuple[int, str], tuple[int, str]]:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        msg = f"{name}: residue range {text!r} is not of the form '6-100', '-5-20' or '52A-60'"
        raise JoinError(msg)
    first, first_code, last, last_code = match.groups()
    start, end = (int(first), first_code), (int(last), last_code or _AFTER_ALL_CODES)
    if end < start:
        msg = f"{name}: residue range {text!r} ends before it starts"
        raise JoinError(msg)
    return start, end
