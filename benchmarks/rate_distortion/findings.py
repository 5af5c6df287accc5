"""What follows from the points, in sentences that the numbers write?"""

from rate_distortion.points import FLOOR, FOLLOWED, KMEANS, OWN, RESIDUAL, STEPS
from rate_distortion.results import METRICS, Results, median, of_kind, paired

_TITLES = {
    FLOOR: "latents without quantization",
    OWN: "the model's own codes",
    KMEANS: "k-means of the latents, {} codes",
    RESIDUAL: "own codes and a second level of {}",
    STEPS: "steps of the chain, {} codes",
    FOLLOWED: "steps chosen along the chain, {} codes",
}


def title(point: Results) -> str:
    """
    Return how a point is called in text.

    Parameters
    ----------
    point : mapping
        From the results.

    Returns
    -------
    str
        With its number of codes.

    Examples
    --------
    >>> title({"kind": "residual", "sizes": [4096, 256]})
    'own codes and a second level of 256'
    """
    return _TITLES[point["kind"]].format(*(f"{size:,}" for size in point["sizes"][-1:]))


def sentences(results: Results, part: str) -> list[str]:
    """
    Compare the points that tell where a model loses.

    Parameters
    ----------
    results : mapping
        From `results.load_results`.
    part : str
        Name of a set.

    Returns
    -------
    list of str
        Markdown, one sentence each.
    """
    (own,) = of_kind(results, OWN)
    (floor,) = of_kind(results, FLOOR)
    others = [(own, floor)]
    for kind in (KMEANS, STEPS, FOLLOWED):
        nearest = _of_rate(results, kind, results["points"][own]["bits"])
        others += [(nearest, own)] if nearest else []
    residuals = list(of_kind(results, RESIDUAL))
    others += [(residuals[-1], own), (residuals[-1], floor)] if residuals else []
    found = [_compared(results, part, one, other) for one, other in others]
    return found + _closed(results, part, own, floor, residuals[-1:])


def _of_rate(results: Results, kind: str, bits: float) -> str | None:
    """Return the point of a kind with the highest rate up to that of the model's own codes."""
    # A rate is written with some digits.
    below = [key for key, one in of_kind(results, kind).items() if one["bits"] <= bits + 1e-3]
    return below[-1] if below else None


def _compared(results: Results, part: str, one: str, other: str) -> str:
    names = [title(results["points"][key]) for key in (one, other)]
    parts = []
    for metric, (label, digits) in METRICS.items():
        found = paired(results, one, other, part, metric)
        low, high = found.interval
        better = high < 0.0 if metric == "rmsd_ca" else low > 0.0
        worse = low > 0.0 if metric == "rmsd_ca" else high < 0.0
        verdict = "better" if better else "worse" if worse else "not clearly different"
        shown = f"{found.median:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
        parts.append(f"{label} {verdict} (median difference {shown})")
    return f"{names[0][0].upper()}{names[0][1:]}, against {names[1]}: {', '.join(parts)}."


def _closed(results: Results, part: str, own: str, floor: str, residuals: list[str]) -> list[str]:
    found = []
    for key in residuals:
        before, after, best = (median(results, one, part, "rmsd_ca") for one in (own, key, floor))
        if before > best:
            share = 100.0 * (before - after) / (before - best)
            found.append(
                f"Of the median RMSD that quantization adds ({best:.2f} to {before:.2f} Å), "
                f"the second level takes back {share:.0f} %."
            )
    return found
