"""How do the frames of an MDTraj trajectory become chains, and chains a trajectory?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.extras import require_extra
from provq_protein.sources.topology import chain_plans, in_angstrom
from provq_protein.structure.backbone import Backbone

if TYPE_CHECKING:
    from mdtraj import Trajectory

_ATOMS = (("N", "N"), ("CA", "C"), ("C", "C"))
_NANOMETRE_PER_ANGSTROM = 0.1


def backbones_from_mdtraj(
    trajectory: "Trajectory", *, source: str = "trajectory"
) -> Iterator[Backbone]:
    """
    Yield the protein chains of each frame.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        With any atoms.
    source : str
        What the chains say of their origin, before ``"!frame 12"``.

    Yields
    ------
    Backbone
        All chains of frame 1, then those of frame 2; `model` is the number of the frame, and
        coordinates are in Angstrom.

    Raises
    ------
    StructureError
        If the topology has no protein chain.

    Notes
    -----
    Residues, chain ids and numbers are those that ``provq-protein encode`` gives to a trajectory
    with this topology: water, ions and lipids are left out, there are no insertion codes, and a
    chain without a name is called by its position. No periodic image is moved.
    """
    try:
        plans = chain_plans(trajectory.topology, source)
    except StructureError as error:
        msg = f"{source}: {error}"
        raise StructureError(msg) from error
    frames = np.asarray(trajectory.xyz)
    for number, coords in enumerate(frames, start=1):
        positions = in_angstrom(coords)
        for plan in plans:
            yield plan.at(positions, source=f"{source}!frame {number}", model=number)


def to_mdtraj(chains: Sequence[Backbone], *, times: npt.ArrayLike | None = None) -> "Trajectory":
    """
    Return a trajectory of the N, CA and C atoms of chains.

    Parameters
    ----------
    chains : sequence of Backbone
        Those with one `chain_id` are the frames of one chain, in this order, and must have the
        same residues; every chain must have as many frames.
    times : array_like, shape=(frame,), optional
        In ps. By default 0, 1, 2, ...

    Returns
    -------
    mdtraj.Trajectory
        Positions in nanometres. Unresolved residues have no atoms in it.

    Raises
    ------
    StructureError
        If there is no chain, or chains do not fit together: other residues, another number of
        frames, a residue that is resolved in some frames only; or `times` of another length.
    MissingExtraError
        If mdtraj is not installed.

    Notes
    -----
    MDTraj has no insertion codes: residues keep their author numbers and lose the letters, and
    the sequence loses unresolved residues. B-factors are not kept.
    """
    mdtraj: Any = require_extra("mdtraj", extra="interop", purpose="a trajectory of chains")
    frames: dict[str, list[Backbone]] = {}
    for chain in chains:
        frames.setdefault(chain.chain_id, []).append(chain)
    if not frames:
        msg = "no chain to make a trajectory of; give at least one"
        raise StructureError(msg)
    lengths = {chain_id: len(several) for chain_id, several in frames.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{chain_id} in {count}" for chain_id, count in lengths.items())
        msg = f"chains must be there in every frame of a trajectory; found {counts} frames"
        raise StructureError(msg)
    topology = mdtraj.Topology()
    places = []
    for chain_id, several in frames.items():
        _check_same_residues(several)
        _add_chain(mdtraj, topology, several[0], chain_id)
        first = several[0].resolved
        places.append(np.stack([chain.coords[first].reshape(-1, 3) for chain in several]))
    positions = np.concatenate(places, axis=1) * np.float32(_NANOMETRE_PER_ANGSTROM)
    moments = None if times is None else np.asarray(times, dtype=np.float64)
    if moments is not None and moments.shape != (len(positions),):
        msg = f"times must be one number for each of {len(positions)} frames, got {moments.shape}"
        raise StructureError(msg)
    return mdtraj.Trajectory(positions, topology, time=moments)


def _check_same_residues(frames: Sequence[Backbone]) -> None:
    first = frames[0]
    if not first.resolved.any():
        _fail(first, "no residue is resolved")
    for number, frame in enumerate(frames, start=1):
        if (frame.residue_ids, frame.residue_names) != (first.residue_ids, first.residue_names):
            _fail(
                frame,
                f"frame {number} has {len(frame)} residues that are not the {len(first)} of "
                "frame 1; give chains of the same residues, or other chain ids",
            )
        differing = np.flatnonzero(frame.resolved != first.resolved)
        if differing.size:
            _fail(
                frame,
                f"residue {first.residue_ids[differing[0]]} is resolved in some frames only "
                f"(1 and {number} differ), and a trajectory has the same atoms in all",
            )


def _fail(chain: Backbone, problem: str) -> NoReturn:
    msg = f"{chain.source or 'arrays'}: chain {chain.chain_id}: {problem}"
    raise StructureError(msg)


def _add_chain(mdtraj: Any, topology: Any, backbone: Backbone, chain_id: str) -> None:  # noqa: ANN401
    chain = topology.add_chain(chain_id)
    for place in np.flatnonzero(backbone.resolved).tolist():
        residue = topology.add_residue(
            backbone.residue_names[place], chain, resSeq=int(backbone.author_numbers[place])
        )
        for name, symbol in _ATOMS:
            topology.add_atom(name, mdtraj.element.Element.getBySymbol(symbol), residue)
