"""Where does a reconstructed chain lie on its original, and how far is each residue away?"""

from dataclasses import replace

import numpy as np

from provq_protein.geometry.superpose import apply_motion, superpose
from provq_protein.structure.backbone import Backbone


def superposed(original: Backbone, reconstructed: Backbone) -> tuple[Backbone, Backbone]:
    """
    Lay a reconstructed chain onto its original.

    Parameters
    ----------
    original : Backbone
        With at least one resolved residue.
    reconstructed : Backbone
        The same residues, resolved where `original` is.

    Returns
    -------
    original : Backbone
        In its place.
    reconstructed : Backbone
        Moved by the proper rotation and translation that fit N, CA and C of all resolved
        residues best.

    Notes
    -----
    `b_factors` of both become the root-mean-square distance of N, CA and C of the residue from
    those of the other chain, in Angstrom; *NaN* where unresolved.
    """
    known = original.resolved
    fixed = original.coords.astype(np.float64)
    motion = superpose(
        reconstructed.coords[known].reshape(-1, 3), original.coords[known].reshape(-1, 3)
    )
    # Arrays without a number stay so: a residue that is absent does not move.
    moved = apply_motion(reconstructed.coords, motion[0], motion[1])
    away = np.sqrt(((moved - fixed) ** 2).sum(axis=-1).mean(axis=-1))
    deviation = np.where(known, away, np.nan).astype(np.float32)
    return (
        replace(original, b_factors=deviation, confidence="b_factor"),
        replace(
            reconstructed,
            coords=moved.astype(np.float32),
            b_factors=deviation,
            confidence="b_factor",
        ),
    )
