"""In which ways does a chain come to a tokenizer slightly changed, and which residues remain?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.evaluation.stability import random_rotation
from provq_protein.sources.foldcomp_codec import FoldcompDecoder, compress
from provq_protein.structure.backbone import Backbone

Arithmetic = Literal["float32", "float64", "bfloat16"]

NOISE_LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Standard deviations of coordinate noise, in Angstrom."""
FOLDCOMP = "FoldComp"
"""Name of the disturbance that needs a package."""
ROTATION = "rotation in float64"
"""Name of the disturbance that must change nothing."""

_LARGEST_SHIFT = 100.0
# Of coordinates in PDB files, and in nearly all mmCIF files.
_DECIMALS = 3
_ENDS = (1, 5)
_STRETCH = 10
# FoldComp holds one chain of bonded residues, and not a short one.
_SHORTEST_PIECE = 20
_LONGEST_BOND = 2.0
_LIMIT = 1 << 28
_ATOM_NAMES = (" N  ", " CA ", " C  ")

_Indices = npt.NDArray[np.int64]
_Change = Callable[[Backbone, np.random.Generator], "tuple[Backbone, _Indices] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """
    One way in which the same chain comes out different.

    Parameters
    ----------
    name : str
        For tables.
    group : str
        What it has in common with others: ``"motion"``, ``"arithmetic"``, ``"noise"``,
        ``"loss"`` or ``"removal"``.
    change : callable
        Given a chain and a source of randomness, returns the changed chain and, for each of
        its residues, the position in the original; None where it cannot be applied.
    arithmetic : {"float32", "float64", "bfloat16"}
        In which the model computes.
    random : bool
        Whether a second try differs from the first.
    turned_inside : bool
        Whether the model is also given the coordinates turned at random, unrounded.
    """

    name: str
    group: str
    change: _Change
    arithmetic: Arithmetic = "float32"
    random: bool = True
    turned_inside: bool = False


def disturbances(decoder: FoldcompDecoder | None = None) -> tuple[Disturbance, ...]:
    """
    Return all disturbances, from those that should change nothing to those that must.

    Parameters
    ----------
    decoder : FoldcompDecoder, optional
        Decodes FoldComp data; without one there is no such disturbance.

    Returns
    -------
    tuple of Disturbance
        Rotation, rounded as little as can be, to float32, and with a shift of up to 100 Angstrom
        along each axis; rotation rounded to the three decimals of structure files; arithmetic;
        noise on all atoms; FoldComp's loss; absent residues.
    """
    found = [
        Disturbance(
            name=ROTATION, group="motion", change=_same, arithmetic="float64", turned_inside=True
        ),
        Disturbance(name="rotation", group="motion", change=_rotated),
        Disturbance(name="rotation and shift", group="motion", change=_moved),
        Disturbance(name="rotation, three decimals", group="motion", change=_rewritten),
        *(
            Disturbance(name=kind, group="arithmetic", change=_same, arithmetic=kind, random=False)
            for kind in ("float64", "bfloat16")
        ),
        *(
            Disturbance(name=f"noise {level:g}", group="noise", change=_noise(level))
            for level in NOISE_LEVELS
        ),
    ]
    if decoder is not None:
        found.append(
            Disturbance(name=FOLDCOMP, group="loss", change=_foldcomp(decoder), random=False)
        )
    found += [
        *(
            Disturbance(
                name=f"without {size} at each end",
                group="removal",
                change=_without_ends(size),
                random=False,
            )
            for size in _ENDS
        ),
        Disturbance(name=f"without {_STRETCH} inside", group="removal", change=_without_stretch),
    ]
    return tuple(found)


def taken(chain: Backbone, positions: _Indices) -> Backbone:
    """
    Return a chain of some residues of another.

    Parameters
    ----------
    chain : Backbone
        A chain.
    positions : ndarray, shape=(any,), dtype=int64
        Which of its residues, in order.

    Returns
    -------
    Backbone
        With the numbers that they have in the chain.
    """
    kept: dict[str, object] = {}
    for field in fields(chain):
        value = getattr(chain, field.name)
        if isinstance(value, np.ndarray):
            kept[field.name] = value[positions]
        elif field.name == "sequence":
            kept[field.name] = "".join(value[i] for i in positions)
        elif isinstance(value, tuple):
            kept[field.name] = tuple(value[i] for i in positions)
    return replace(chain, **kept)


def _all(chain: Backbone) -> _Indices:
    return np.arange(len(chain))


def _with(chain: Backbone, coords: npt.NDArray[np.float64]) -> tuple[Backbone, _Indices]:
    return replace(chain, coords=coords.astype(np.float32)), _all(chain)


def _same(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices]:
    del rng
    return chain, _all(chain)


def _rotated(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices]:
    coords = chain.coords.astype(np.float64)
    center = coords[chain.resolved].mean(axis=(0, 1))
    return _with(chain, (coords - center) @ random_rotation(rng).T + center)


def _moved(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices]:
    coords = chain.coords.astype(np.float64)
    shift = rng.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, 3)
    return _with(chain, coords @ random_rotation(rng).T + shift)


def _rewritten(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices]:
    turned, kept = _rotated(chain, rng)
    return replace(turned, coords=np.round(turned.coords, _DECIMALS)), kept


def _noise(level: float) -> _Change:
    def change(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices]:
        return _with(chain, chain.coords + rng.normal(0, level, chain.coords.shape))

    return change


def _without_ends(size: int) -> _Change:
    def change(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices] | None:
        del rng
        resolved = np.flatnonzero(chain.resolved)
        if len(resolved) <= 2 * size:
            return None
        kept = np.arange(resolved[size], resolved[-size - 1] + 1)
        return taken(chain, kept), kept

    return change


def _without_stretch(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices] | None:
    if int(chain.resolved.sum()) <= 3 * _STRETCH:
        return None
    start = int(rng.integers(_STRETCH, len(chain) - 2 * _STRETCH + 1))
    kept = np.delete(_all(chain), slice(start, start + _STRETCH))
    shorter = taken(chain, kept)
    return (shorter, kept) if shorter.resolved.any() else None


def _foldcomp(decoder: FoldcompDecoder) -> _Change:
    def change(chain: Backbone, rng: np.random.Generator) -> tuple[Backbone, _Indices] | None:
        """Keep residues outside the pieces that FoldComp can hold as they are."""
        del rng
        coords = chain.coords.copy()
        held = 0
        for piece in pieces(chain):
            part = coords[piece.start : piece.stop]
            center = part.mean(axis=(0, 1))
            packed = compress("piece", _pdb_text(part - center))
            text = decoder.decode(packed, limit=_LIMIT).decode("latin-1")
            coords[piece.start : piece.stop] = _coords_of(text, len(piece)) + center
            held += len(piece)
        return (replace(chain, coords=coords), _all(chain)) if held else None

    return change


def pieces(chain: Backbone) -> Iterator[range]:
    """
    Yield the stretches of a chain that FoldComp can hold.

    Parameters
    ----------
    chain : Backbone
        The chain.

    Yields
    ------
    range
        Positions of at least 20 bonded, resolved residues.
    """
    bond = np.linalg.norm(chain.coords[1:, 0] - chain.coords[:-1, 2], axis=1)
    joined = chain.resolved[1:] & chain.resolved[:-1] & (bond < _LONGEST_BOND)
    edges = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(chain)]
    for start, stop in pairwise(edges):
        if stop - start >= _SHORTEST_PIECE:
            yield range(start, stop)


def _pdb_text(coords: npt.NDArray[np.float32]) -> str:
    # Alanine throughout: FoldComp is told of no side chain, and knows no modified residue.
    lines: list[str] = []
    for residue, atoms in enumerate(coords, start=1):
        for name, (x, y, z) in zip(_ATOM_NAMES, atoms, strict=True):
            lines.append(
                f"ATOM  {len(lines) % 99999 + 1:5d} {name} ALA A{(residue - 1) % 9999 + 1:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {name[1]}\n"
            )
    return "".join(lines)


def _coords_of(text: str, count: int) -> npt.NDArray[np.float32]:
    rows = [
        [float(line[start : start + 8]) for start in (30, 38, 46)]
        for line in text.splitlines()
        if line.startswith("ATOM") and line[12:16] in _ATOM_NAMES
    ]
    if len(rows) != len(_ATOM_NAMES) * count:
        msg = f"FoldComp gave {len(rows)} backbone atoms for {count} residues"
        raise StructureError(msg)
    return np.array(rows, dtype=np.float32).reshape(count, len(_ATOM_NAMES), 3)


def rng_of(seed: int, chain: int, trial: int) -> np.random.Generator:
    """
    Return the source of randomness of one trial.

    Parameters
    ----------
    seed, chain, trial : int
        Of the report, of the chain among its inputs, and of the trial.

    Returns
    -------
    numpy.random.Generator
        The same for the same numbers.
    """
    return np.random.default_rng([seed, chain, trial])
