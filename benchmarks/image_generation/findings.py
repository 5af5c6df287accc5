"""Which sentences follow from the numbers?"""

import statistics
from collections.abc import Sequence

from image_generation.results import Comparison, scores_of
from image_generation.tables import (
    BASELINE,
    FULL,
    SCORES,
    codes_used,
    main_scale,
    scales,
    title_of,
    values,
)

# Below such a share of its codes, a tokenizer is called collapsed.
_FEW = 0.1
# Of a larger value: better or worse.
_HIGHER_IS_BETTER = {"gFID": False, "sFID": False, "IS": True, "precision": True, "recall": True}


def sentences(comparison: Comparison) -> list[str]:
    """
    Say what the numbers say, whoever it speaks for.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    list of str
        Sentences.
    """
    found = [_limit(comparison), *_collapsed(comparison)]
    if {BASELINE, FULL} <= comparison.runs.keys():
        found += _differences(comparison)
        found.append(_paired_with_reconstruction(comparison))
    found += [_precision(comparison), _spread(comparison)]
    found.append(_best_scales(comparison))
    return [one for one in found if one]


def _limit(comparison: Comparison) -> str:
    parts = []
    scale = main_scale(comparison)
    for key, runs in comparison.runs.items():
        drawn = statistics.fmean(
            statistics.fmean(values(run, SCORES[0][2], scale)) for run in runs.values()
        )
        kept = statistics.fmean(scores_of(run).fid for run in runs.values())
        parts.append(f"{kept:.1f} and {drawn:.1f} ({title_of(key)})")
    return (
        f"Real images that are not the reference have a gFID of {comparison.real.fid:.1f}. What "
        f"the tokenizers leave of them, and what the models draw, has {'; '.join(parts)}: the "
        "first of each pair is what the tokenizer costs, the rest is the model's."
    )


def _collapsed(comparison: Comparison) -> list[str]:
    """Name the rows whose tokenizers use few codes, in which a comparison is about that."""
    found = []
    for key, runs in comparison.runs.items():
        shares = [
            codes_used(run, scales(comparison)[0])
            / run["tokenizer"]["training"]["recipe"]["codebook"]["size"]
            for run in runs.values()
        ]
        if max(shares) < _FEW:
            shown = " and ".join(f"{share:.1%}" for share in shares)
            found.append(
                f"{title_of(key)} has collapsed: samples use {shown} of its codes. The paper's "
                "tokenizers have not, so what is better here may be so for that alone."
            )
    return found


def _differences(comparison: Comparison) -> list[str]:
    scale = main_scale(comparison)
    shared = sorted(comparison.runs[BASELINE].keys() & comparison.runs[FULL].keys())
    found = []
    for name, digits, read in SCORES:
        gaps = [
            statistics.fmean(values(comparison.runs[FULL][seed], read, scale))
            - statistics.fmean(values(comparison.runs[BASELINE][seed], read, scale))
            for seed in shared
        ]
        found.append(f"{name}: {_verdict(name, gaps, digits)}")
    head = f"ProVQ against the vanilla codebook, at guidance {scale:g}, seed by seed: "
    return [f"{head}{'; '.join(found)}."]


def _verdict(name: str, gaps: Sequence[float], digits: int) -> str:
    shown = ", ".join(f"{gap:+.{digits}f}" for gap in gaps)
    if all(round(gap, digits) == 0 for gap in gaps):
        return f"no difference ({shown})"
    if min(gaps) < 0 < max(gaps):
        return f"undecided ({shown})"
    better = (statistics.fmean(gaps) > 0) == _HIGHER_IS_BETTER[name]
    return f"{'better' if better else 'worse'} ({shown})"


def _paired_with_reconstruction(comparison: Comparison) -> str:
    """Set the difference of samples beside that of reconstructions."""
    scale = main_scale(comparison)
    shared = sorted(comparison.runs[BASELINE].keys() & comparison.runs[FULL].keys())
    drawn, kept = [], []
    for seed in shared:
        full, base = comparison.runs[FULL][seed], comparison.runs[BASELINE][seed]
        fid = SCORES[0][2]
        drawn.append(
            statistics.fmean(values(full, fid, scale)) - statistics.fmean(values(base, fid, scale))
        )
        kept.append(scores_of(full).fid - scores_of(base).fid)
    one, two = statistics.fmean(kept), statistics.fmean(drawn)
    return (
        f"The reconstructions of the two differ by {one:+.1f} in gFID, their samples by "
        f"{two:+.1f}: tokens that say more about an image also have to be predicted."
    )


def _precision(comparison: Comparison) -> str:
    """Warn where precision does not say what its name does."""
    real = comparison.real.precision or 0.0
    blurred = {
        key: statistics.fmean(scores_of(run).precision or 0.0 for run in runs.values())
        for key, runs in comparison.runs.items()
    }
    above = [f"{value:.2f} ({title_of(key)})" for key, value in blurred.items() if value > real]
    if not above:
        return ""
    return (
        f"Precision says little here: real images have {real:.2f}, and what a tokenizer leaves of "
        f"them has {' and '.join(above)}. Blurred images look alike, and are near many others."
    )


def _spread(comparison: Comparison) -> str:
    scale = main_scale(comparison)
    ranges = []
    for runs in comparison.runs.values():
        for run in runs.values():
            found = values(run, SCORES[0][2], scale)
            ranges.append(max(found) - min(found))
    return (
        f"Samples of other seeds change the gFID of a model by {max(ranges):.1f} at most "
        f"({statistics.fmean(ranges):.1f} on average); a difference of that size says nothing."
    )


def _best_scales(comparison: Comparison) -> str:
    parts = []
    for key, runs in comparison.runs.items():
        best = [
            min(scales(comparison), key=lambda scale, run=run: values(run, SCORES[0][2], scale)[0])
            for run in runs.values()
        ]
        parts.append(f"{' and '.join(f'{scale:g}' for scale in best)} ({title_of(key)})")
    return f"The scale with the lowest gFID, by training: {'; '.join(parts)}."
