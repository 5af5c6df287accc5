"""Which statements of the paper do the numbers support?"""

from collections.abc import Mapping, Sequence
from typing import Any

from topodisc.paper import ERRORS, IMPROVEMENTS
from topodisc.results import errors, improvements, spread
from topodisc.settings import BASELINE, PROVQ

_WARMUP = "warmup"


def percent(value: float) -> str:
    """
    Write an improvement.

    Parameters
    ----------
    value : float
        In percent.

    Returns
    -------
    str
        With a sign and one digit.

    Examples
    --------
    >>> percent(33.1), percent(-4.96), percent(-0.01)
    ('+33.1', '-5.0', '0.0')
    """
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0.0 else text


def sentences(results: Mapping[str, Any]) -> list[str]:
    """
    Compare the numbers with the paper's statements.

    Parameters
    ----------
    results : mapping
        From `results.load_results`.

    Returns
    -------
    list of str
        Sentences; what they claim follows from the numbers.
    """
    return [
        *(_error(results, row, part) for row, part in ERRORS),
        _gap(results),
        *(_claimed(results, row, part) for row, part in IMPROVEMENTS),
        _better_everywhere(results),
        _total(results),
        _share_of_warmup(results),
        _codes(results),
    ]


def verdict(values: Sequence[float], claimed: float) -> str:
    """
    Say whether improvements of several seeds agree with a positive one that the paper states.

    Parameters
    ----------
    values : sequence of float
        Improvement of each seed, in percent.
    claimed : float
        The paper's, in percent.

    Returns
    -------
    str
        A clause.

    Examples
    --------
    >>> verdict([20.0, 30.0, 40.0], 33.1)
    'reproduces in sign and size'
    >>> verdict([4.0, 5.0, 6.0], 33.1)
    'reproduces in sign; the paper is above every seed'
    >>> verdict([-1.0, 1.0, 2.0, -3.0], 11.9)
    'does not reproduce: the middle half of the seeds contains 0'
    >>> verdict([-6.0, -5.0, -4.0], 11.9)
    'does not reproduce: it is worse for most seeds'
    """
    found = spread(values)
    if found.high < 0.0:
        return "does not reproduce: it is worse for most seeds"
    if found.low <= 0.0:
        return "does not reproduce: the middle half of the seeds contains 0"
    if claimed > max(values):
        return "reproduces in sign; the paper is above every seed"
    if claimed < min(values):
        return "reproduces in sign; the paper is below every seed"
    return "reproduces in sign and size"


def _error(results: Mapping[str, Any], row: str, part: str) -> str:
    values, stated = errors(results, row, part), ERRORS[row, part]
    found = spread(values)
    if found.low <= stated <= found.high:
        where = "within the quartiles of the seeds"
    elif min(values) <= stated <= max(values):
        where = "outside the quartiles, within the range of the seeds"
    else:
        where = "outside the range of the seeds"
    return (
        f"{_title(results, row)}, error of the {part}: {found.median:.4f}; the paper's "
        f"{stated:.4f} is {where}."
    )


def _gap(results: Mapping[str, Any]) -> str:
    ratios = {
        row: [
            triangle / disk
            for disk, triangle in zip(
                errors(results, row, "disk"), errors(results, row, "triangle"), strict=True
            )
        ]
        for row in (BASELINE, PROVQ)
    }
    stated = ERRORS[BASELINE, "triangle"] / ERRORS[BASELINE, "disk"]
    worse = sum(ratio > 1.0 for ratio in ratios[BASELINE])
    return (
        f"{_title(results, BASELINE)}, error of the triangle over that of the disk: "
        f"{spread(ratios[BASELINE]).median:.2f}, above 1 for {worse} of {len(results['seeds'])} "
        f"seeds; in the paper {stated:.2f}. With {_title(results, PROVQ)}: "
        f"{spread(ratios[PROVQ]).median:.2f}."
    )


def _claimed(results: Mapping[str, Any], row: str, part: str) -> str:
    values, claimed = improvements(results, row, part), IMPROVEMENTS[row, part]
    return (
        f"{_title(results, row)}, improvement of the {part}: {percent(spread(values).median)} %, "
        f"in the paper {percent(claimed)} %: {verdict(values, claimed)}."
    )


def _better_everywhere(results: Mapping[str, Any]) -> str:
    values = improvements(results, PROVQ, "disk")
    found = spread(values)
    better = sum(value > 0.0 for value in values)
    holds = found.low > 0.0
    return (
        f"{_title(results, PROVQ)}, improvement of the disk: {percent(found.median)} %, positive "
        f"for {better} of {len(values)} seeds. That both strategies are better than vanilla "
        f"throughout {'reproduces' if holds else 'does not reproduce'} for this part."
    )


def _total(results: Mapping[str, Any]) -> str:
    values = improvements(results, PROVQ, "total")
    better = sum(value > 0.0 for value in values)
    return (
        f"{_title(results, PROVQ)}, improvement over all points: "
        f"{percent(spread(values).median)} %, positive for {better} of {len(values)} seeds."
    )


def _share_of_warmup(results: Mapping[str, Any]) -> str:
    alone = improvements(results, _WARMUP, "triangle")
    full = improvements(results, PROVQ, "triangle")
    added = spread([b - a for a, b in zip(alone, full, strict=True)])
    if added.low > 0.0:
        effect = "adds to that"
    else:
        effect = "takes from that" if added.high < 0.0 else "makes no clear difference to that"
    return (
        f"Warm-up and k-means without a soft transition improve the triangle by "
        f"{percent(spread(alone).median)} %. The transition {effect}: {percent(added.median)} "
        f"points [{percent(added.low)}, {percent(added.high)}] with the same seed."
    )


def _codes(results: Mapping[str, Any]) -> str:
    size, rows = results["settings"]["codes"], results["rows"]
    partial = {
        row["title"]: min(row["codes_used"])
        for row in rows.values()
        if min(row["codes_used"]) < size
    }
    if not partial:
        return f"All {size} codes are used in every row with every seed."
    listed = "; ".join(f"{title} {least}" for title, least in partial.items())
    full = [row["title"] for row in rows.values() if row["title"] not in partial]
    return (
        f"All {size} codes are used with every seed in: {', '.join(full) or 'no row'}. "
        f"Fewest codes in the others: {listed}."
    )


def _title(results: Mapping[str, Any], row: str) -> str:
    title = results["rows"][row]["title"]
    return title[0].upper() + title[1:]
