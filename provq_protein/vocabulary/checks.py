"""Which numbers are refused before they are looked up as codes or ids?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import TokenFormatError


def integers_in(
    values: ArrayLike, *, what: str, low: int, end: int, of: object, any_shape: bool = False
) -> NDArray[np.int64]:
    """
    Return integers, or say which of them is out of range.

    Parameters
    ----------
    values : array_like
        Integers; of one dimension.
    what : str
        One of them, in a word, for the message.
    low, end : int
        They must be in ``[low, end)``.
    of : object
        What they belong to, for the message.
    any_shape : bool, optional
        Whether another number of dimensions is fine as well.

    Returns
    -------
    ndarray, dtype=int64
        Of the same shape.

    Raises
    ------
    TokenFormatError
        If they are something else.
    """
    array = np.asarray(values)
    if array.ndim != 1 and not any_shape:
        msg = f"{what}s must have one dimension, got the shape {array.shape}"
        raise TokenFormatError(msg)
    if array.size and array.dtype.kind not in "iu":
        msg = f"{what}s must be integers, got {array.dtype}"
        raise TokenFormatError(msg)
    # Negative ones would be looked up from the end.
    wrong = np.flatnonzero((array < low) | (array >= end))
    if wrong.size:
        msg = (
            f"{what} {array.flat[wrong[0]]} at position {wrong[0]} is out of range; {of} has "
            f"{what}s from {low} to {end - 1}"
        )
        raise TokenFormatError(msg)
    return array.astype(np.int64)
