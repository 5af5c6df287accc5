"""How are counts, angles and errors drawn as SVG, without a plotting library?"""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from provq_protein.reports.colors import between

# Less than half an Angstrom would look like a large error if it filled the drawing.
_LOWEST_CEILING = 1.0
_STEPS = [base * 10.0**power for power in range(-1, 6) for base in (1, 2, 5)]
_DENSITY = ("#eef3f8", "#1b5e8c")


def _svg(width: int, height: int, label: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def rank_frequency(counts: npt.NDArray[np.int64]) -> str:
    """
    Draw how often the most frequent code occurs, the second, the third, ...

    Parameters
    ----------
    counts : ndarray, shape=(code,), dtype=int64
        Residues with each code.

    Returns
    -------
    str
        SVG, both axes logarithmic.
    """
    width, height, left, top, right, bottom = 640, 300, 60, 14, 34, 44
    found = np.sort(counts[counts > 0])[::-1]
    decades_x = max(1, math.ceil(math.log10(max(len(found), 2))))
    decades_y = max(1, math.ceil(math.log10(max(int(found[0]), 2)))) if len(found) else 1

    def x_of(rank: float) -> float:
        return left + (width - left - right) * math.log10(rank) / decades_x

    def y_of(count: float) -> float:
        return height - bottom - (height - top - bottom) * math.log10(count) / decades_y

    parts = []
    for power in range(decades_x + 1):
        x = x_of(10**power)
        parts.append(_line(x, top, x, height - bottom, "grid"))
        parts.append(_text(x, height - bottom + 16, f"{10**power:,}"))
    for power in range(decades_y + 1):
        y = y_of(10**power)
        parts.append(_line(left, y, width - right, y, "grid"))
        parts.append(_text(left - 6, y + 4, f"{10**power:,}", anchor="end"))
    # Codes of equal counts are one step: thousands of points would say the same.
    corners = []
    for count in np.unique(found)[::-1].tolist():
        first, last = np.flatnonzero(found == count)[[0, -1]] + 1
        corners += [f"{x_of(first):.1f},{y_of(count):.1f}", f"{x_of(last):.1f},{y_of(count):.1f}"]
    parts.append(f'<polyline class="curve" points="{" ".join(corners)}"/>')
    parts.append(_text((left + width - right) / 2, height - 8, "rank of the code"))
    turned = f' transform="rotate(-90 14 {(height - bottom) / 2:.0f})"'
    parts.append(_text(14, (height - bottom) / 2, "residues", more=turned))
    return _svg(width, height, "residues with each code, by rank", parts)


def error_profile(errors: npt.NDArray[np.float64], residue_ids: Sequence[str], name: str) -> str:
    """
    Draw the error of each residue along a chain.

    Parameters
    ----------
    errors : ndarray, shape=(residue,), dtype=float64
        In Angstrom; the line is interrupted at *NaN*.
    residue_ids : sequence of str
        Residue numbers.
    name : str
        The chain.

    Returns
    -------
    str
        SVG.
    """
    width, height, left, top, right, bottom = 860, 170, 46, 10, 12, 38
    largest = max(_LOWEST_CEILING, float(np.nanmax(errors)))
    step = next(one for one in _STEPS if largest / one <= 5)
    ceiling = math.ceil(largest / step) * step

    def x_of(row: float) -> float:
        return left + (width - left - right) * row / max(len(errors) - 1, 1)

    def y_of(error: float) -> float:
        return height - bottom - (height - top - bottom) * error / ceiling

    parts = []
    for tick in np.arange(0, ceiling + step / 2, step).tolist():
        parts.append(_line(left, y_of(tick), width - right, y_of(tick), "grid"))
        parts.append(_text(left - 6, y_of(tick) + 4, f"{tick:g}", anchor="end"))
    for row in sorted({round(share * (len(errors) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)}):
        parts.append(_text(x_of(row), height - bottom + 16, residue_ids[row]))
    known = np.flatnonzero(np.isfinite(errors))
    for piece in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        points = [f"{x_of(row):.1f},{y_of(float(errors[row])):.1f}" for row in piece.tolist()]
        if len(points) == 1:
            x, y = points[0].split(",")
            parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="1.6"/>')
        else:
            parts.append(f'<polyline class="curve" points="{" ".join(points)}"/>')
    parts.append(_text((left + width - right) / 2, height - 5, "residue number"))
    turned = f' transform="rotate(-90 12 {(height - bottom) / 2:.0f})"'
    parts.append(_text(12, (height - bottom) / 2, "error (Å)", more=turned))
    return _svg(width, height, f"error along {name}", parts)


def angle_map(
    phi: npt.NDArray[np.float64],
    psi: npt.NDArray[np.float64],
    *,
    colors: Sequence[str] | None = None,
    marks: Sequence[tuple[str, float, float]] = (),
) -> str:
    """
    Draw a map of phi and psi.

    Parameters
    ----------
    phi, psi : ndarray, shape=(residue,), dtype=float64
        In degrees; finite.
    colors : sequence of str, optional
        Draws one point per residue in its colour; by default squares of 5 degrees are shaded by
        the number of residues.
    marks : sequence of tuple
        Label, phi and psi of what to mark.

    Returns
    -------
    str
        SVG.
    """
    size, left, top, bottom = 400, 46, 10, 44
    side = size - left - 12

    def x_of(angle: float) -> float:
        return left + side * (angle + 180) / 360

    def y_of(angle: float) -> float:
        return top + side * (180 - angle) / 360

    parts = [f'<rect class="frame" x="{left}" y="{top}" width="{side}" height="{side}"/>']
    if colors is None:
        parts += _squares(phi, psi, x_of(0) - x_of(-5), x_of, y_of)
    else:
        parts += [
            f'<circle cx="{x_of(a):.1f}" cy="{y_of(b):.1f}" r="2" fill="{color}"/>'
            for a, b, color in zip(phi.tolist(), psi.tolist(), colors, strict=True)
        ]
    for tick in range(-180, 181, 90):
        parts.append(_line(x_of(tick), top, x_of(tick), top + side, "grid"))
        parts.append(_line(left, y_of(tick), left + side, y_of(tick), "grid"))
        parts.append(_text(x_of(tick), top + side + 15, str(tick)))
        parts.append(_text(left - 5, y_of(tick) + 4, str(tick), anchor="end"))
    for label, a, b in marks:
        parts.append(f'<circle class="mark" cx="{x_of(a):.1f}" cy="{y_of(b):.1f}" r="3"/>')
        parts.append(_text(x_of(a) + 5, y_of(b) + 4, label, anchor="start", more=' class="halo"'))
    parts.append(_text(left + side / 2, top + side + bottom - 10, "phi (degrees)"))
    parts.append(
        _text(11, top + side / 2, "psi (degrees)", more=f' transform="rotate(-90 11 {size / 2})"')
    )
    return _svg(size, top + side + bottom, "map of phi and psi", parts)


def _squares(
    phi: npt.NDArray[np.float64],
    psi: npt.NDArray[np.float64],
    edge: float,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> list[str]:
    number = 72
    columns = np.clip(((phi + 180) // 5).astype(int), 0, number - 1)
    rows = np.clip(((psi + 180) // 5).astype(int), 0, number - 1)
    counts = np.zeros((number, number), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    most = max(int(counts.max()), 1)
    return [
        f'<rect x="{x_of(column * 5 - 180):.1f}" y="{y_of(row * 5 - 175):.1f}" '
        f'width="{edge:.2f}" height="{edge:.2f}" '
        f'fill="{between(_DENSITY, math.log1p(counts[row, column]) / math.log1p(most))}"/>'
        for row, column in np.argwhere(counts > 0).tolist()
    ]


def trace(coords: npt.NDArray[np.float64]) -> str:
    """
    Draw a short piece of chain, seen from the side from which it looks widest.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float64
        N, CA and C, in Angstrom.

    Returns
    -------
    str
        SVG; dots are CA, the first of them open.
    """
    points = coords.reshape(-1, 3) - coords.reshape(-1, 3).mean(axis=0)
    axes = np.linalg.svd(points, full_matrices=False)[2][:2]
    flat = points @ axes.T
    # Both signs are arbitrary: the chain runs to the right, and starts below the middle.
    if flat[-1, 0] < flat[0, 0]:
        flat[:, 0] *= -1
    if flat[0, 1] < 0:
        flat[:, 1] *= -1
    extent = max(float(np.abs(flat).max()), 4.0)
    places = 50 + flat * [46 / extent, 46 / extent]
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y in places.tolist())
    dots = "".join(
        f'<circle{" class=o" if row == 0 else ""} cx="{x:.0f}" cy="{y:.0f}" r="3"/>'
        for row, (x, y) in enumerate(places[1::3].tolist())
    )
    return f'<svg viewBox="0 0 100 100" aria-hidden="true"><polyline points="{line}"/>{dots}</svg>'
