"""Which precisions can ids be computed in?"""

from typing import Literal, TypeAlias, get_args

from provq_protein.errors import ConfigError

Precision: TypeAlias = Literal["exact", "fast"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def check_precision(precision: str) -> None:
    """
    Refuse what is no precision.

    Parameters
    ----------
    precision : str
        What was asked for.

    Raises
    ------
    ConfigError
        If it is neither ``"exact"`` nor ``"fast"``.
    """
    if precision not in PRECISIONS:
        msg = f"precision must be one of {', '.join(map(repr, PRECISIONS))}, got {precision!r}"
        raise ConfigError(msg)


def not_used(reason: str) -> str:
    """
    Return what the user is told where fast precision is asked for and would not help.

    Parameters
    ----------
    reason : str
        Why.

    Returns
    -------
    str
        One line.
    """
    return f"precision 'fast' is computed as 'exact', ids are the same: {reason}"


def wrong_ids(mismatches: int, audited: int, residues: int) -> str:
    """
    Return what the user is told where the audit of fast precision has found wrong ids.

    Parameters
    ----------
    mismatches : int
        Residues of the audit whose id was wrong; more than none.
    audited : int
        Residues that were audited.
    residues : int
        Residues that were encoded.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> wrong_ids(1, 200, 20000).split("; ")[1]
    'audited ids were corrected, others are not known: about 100 of 20,000 may be wrong'
    """
    others = round(mismatches / audited * residues)
    return (
        f"precision 'fast': {mismatches:,} of {audited:,} audited residues had another id than in "
        f"precision 'exact'; audited ids were corrected, others are not known: about {others:,} "
        f"of {residues:,} may be wrong; encode again with precision 'exact'"
    )


def fast_text(residues: int, rechecked: int, audited: int) -> str:
    """
    Return what fast precision did, for the last line of a command.

    Parameters
    ----------
    residues : int
        Residues that were encoded in fast precision.
    rechecked : int
        Those of them that were encoded again for being close to another code.
    audited : int
        Those of them that were encoded again as a sample of the others.

    Returns
    -------
    str
        Begins with a comma; empty without such residues.

    Examples
    --------
    >>> fast_text(2000, 300, 17)
    ', fast precision (15.0% of 2,000 residues redone, 17 more audited)'
    """
    if not residues:
        return ""
    share = f"{rechecked / residues:.1%} of {residues:,} residues redone"
    return f", fast precision ({share}, {audited:,} more audited)"
