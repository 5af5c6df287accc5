"""How do the frames of a molecular dynamics trajectory become chains (extra ``trajectory``)?"""

import contextlib
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.extras import require_extra
from provq_protein.sources.member import Member
from provq_protein.sources.one_pass import OnePass
from provq_protein.structure.atom_table import NO_NUMBER, AtomTable
from provq_protein.structure.backbone import Backbone, complete_residues
from provq_protein.structure.residues import backbones_of, describe

_ANGSTROM_PER_NANOMETRE = np.float32(10.0)
_FRAMES_AT_ONCE = 100
# Readers may hold all atoms of the frames of a chunk, water too, before they choose.
_ATOMS_AT_ONCE = 4_000_000
_SELF_DESCRIBING = (".h5", ".hdf5", ".lh5", ".gsd")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Atoms are counted in two digits of this base, which float32 holds exactly.
_BASE = 4096
_DCD_START = b"CORD"

Positions = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Plan:
    """A chain without a frame: what it is, and which atoms are its N, CA and C (-1: absent)."""

    chain: Backbone
    atoms: npt.NDArray[np.int64]


def trajectory_members(name: str, path: Path, one_pass: OnePass) -> Iterator[Member]:
    """
    Yield one member per frame and protein chain of a trajectory.

    Parameters
    ----------
    name : str
        The trajectory, as its user named it.
    path : Path
        A file in a format that mdtraj reads.
    one_pass : OnePass
        Count and topology.

    Yields
    ------
    Member
        Named ``"run.xtc!frame 12"``, frames counted from 1; every chain of a frame has its name.
        Coordinates are in Angstrom, as in the frame: no periodic image is moved.

    Notes
    -----
    Which residues are taken is decided as for a structure file
    (:func:`provq_protein.structure.residues.backbones_of`), once for all frames. Frames are read
    in chunks, of which only the backbone atoms are kept. Frames of which no chain is wanted are
    read as well, because most formats do not say where a frame begins.
    """
    frame = 0
    try:
        mdtraj: Any = require_extra("mdtraj", extra="trajectory", purpose="reading trajectories")
        topology = _topology(mdtraj, path, one_pass.topology)
        plans = _plans(topology, name)
        kept, plans = _compact(plans)
        for positions in _chunks(mdtraj, path, topology, kept):
            for coords in positions:
                frame += 1
                yield from _of_frame(coords, plans, f"{name}!frame {frame}", frame, one_pass)
        if frame == 0:
            yield one_pass.problem(name, "the trajectory holds no frame", "trajectory")
    except (StructureError, MissingExtraError) as error:
        label = f"{name}!frame {frame + 1}" if frame else name
        yield one_pass.problem(label, str(error), "trajectory")


def _of_frame(
    coords: Positions, plans: list[_Plan], label: str, frame: int, one_pass: OnePass
) -> Iterator[Member]:
    for plan in plans:
        if not one_pass.claim():
            yield Member(label, source="trajectory")
            continue
        mine = coords[plan.atoms]
        mine[plan.atoms < 0] = np.nan
        resolved = complete_residues(mine)
        chain = replace(plan.chain, coords=mine, resolved=resolved, source=label, model=frame)
        yield Member(label, source="trajectory", chain=chain)


def _topology(mdtraj: Any, path: Path, given: Path | None) -> Any:  # noqa: ANN401
    named_by = path if path.suffix.lower() in _SELF_DESCRIBING else given
    if named_by is None:
        msg = (
            "a trajectory of this format does not name its atoms; give a structure file of the "
            "same atoms as the topology"
        )
        raise StructureError(msg)
    try:
        with _quiet():
            return mdtraj.load_topology(os.fspath(named_by))
    except Exception as error:
        msg = f"the topology {named_by} cannot be read by mdtraj: {_one_line(error)}"
        raise StructureError(msg) from error


def _plans(topology: Any, name: str) -> list[_Plan]:  # noqa: ANN401
    table = _atom_table(topology)
    found = backbones_of(table, source=name, model=1) if len(table) else []
    if not found:
        held = describe(table) if len(table) else "water or nothing"
        msg = f"no polypeptide chain in the topology, which holds {held}"
        raise StructureError(msg)
    return [_Plan(chain, _atom_numbers(chain.coords)) for chain in found]


def _atom_table(topology: Any) -> AtomTable:  # noqa: ANN401
    """Return the atoms that are no water, with their numbers in the place of coordinates."""
    chain_names = [_chain_name(chain) for chain in topology.chains]
    rows = [
        (
            atom.index,
            chain_names[residue.chain.index],
            residue.index,
            residue.resSeq,
            residue.name,
            atom.name,
        )
        for residue in topology.residues
        if not residue.is_water
        for atom in residue.atoms
    ]
    index, chain, segment, number, component, atom_name = (
        zip(*rows, strict=True) if rows else [()] * 6
    )
    atoms = np.array(index, dtype=np.int64)
    count = len(atoms)
    coords = np.stack([atoms // _BASE, atoms % _BASE, np.zeros(count, int)], axis=1)
    no = np.zeros(count, dtype=bool)
    blank = np.full(count, "")
    unknown = np.full(count, np.nan, dtype=np.float32)
    return AtomTable(
        coords=coords.astype(np.float32),
        chain=np.array(chain, dtype=np.str_),
        label_chain=np.array(chain, dtype=np.str_),
        # Every residue that mdtraj sees is one, though numbers repeat (no insertion codes).
        segment=np.array(segment, dtype=np.int32),
        number=np.array(number, dtype=np.int32),
        insertion=blank,
        label_number=np.full(count, NO_NUMBER, dtype=np.int32),
        component=np.array(component, dtype=np.str_),
        name=np.array(atom_name, dtype=np.str_),
        altloc=blank,
        occupancy=unknown,
        b_factor=unknown,
        hetero=no,
        polymer=None,
        listed=no,
        before_ter=no,
        confidence="b_factor",
    )


def _chain_name(chain: Any) -> str:  # noqa: ANN401
    words = str(getattr(chain, "chain_id", None) or "").split()
    if len(words) == 1:
        return words[0]
    return _LETTERS[chain.index] if chain.index < len(_LETTERS) else str(chain.index + 1)


def _atom_numbers(coords: Positions) -> npt.NDArray[np.int64]:
    """Return the atom numbers that stand in the place of coordinates, shape (residue, 3)."""
    absent = np.isnan(coords[..., 0])
    digits = np.where(absent[..., None], 0, coords).astype(np.int64)
    return np.where(absent, -1, digits[..., 0] * _BASE + digits[..., 1])


def _compact(plans: list[_Plan]) -> tuple[npt.NDArray[np.int64], list[_Plan]]:
    """Return the atoms that any chain needs, and the plans counted in those."""
    kept = np.unique(np.concatenate([plan.atoms.ravel() for plan in plans]))
    kept = kept[kept >= 0]
    return kept, [
        replace(plan, atoms=np.where(plan.atoms < 0, -1, np.searchsorted(kept, plan.atoms)))
        for plan in plans
    ]


def _chunks(
    mdtraj: Any,  # noqa: ANN401
    path: Path,
    topology: Any,  # noqa: ANN401
    kept: npt.NDArray[np.int64],
) -> Iterator[Positions]:
    """Yield positions of the kept atoms in Angstrom, shape (frame, atom, 3)."""
    done = 0
    size = max(1, min(_FRAMES_AT_ONCE, _ATOMS_AT_ONCE // max(1, topology.n_atoms)))
    options = {} if path.suffix.lower() in _SELF_DESCRIBING else {"top": topology}
    _check_atoms(mdtraj, path, options)
    while True:
        try:
            reader = mdtraj.iterload(
                os.fspath(path), chunk=size, skip=done, atom_indices=kept, **options
            )
            with contextlib.closing(reader):
                while (frames := _next(reader)) is not None:
                    yield frames.xyz.astype(np.float32) * _ANGSTROM_PER_NANOMETRE
                    done += len(frames)
            break
        except Exception as error:
            if size == 1:
                msg = f"mdtraj cannot read on after frame {done}: {_one_line(error)}"
                raise StructureError(msg) from error
            # A damaged frame takes its whole chunk with it; those before it are still sound.
            size = 1
    declared = _declared_frames(path)
    if done < declared:
        msg = f"the file declares {declared:,} frames and holds {done:,}; is it complete?"
        raise StructureError(msg)


def _check_atoms(mdtraj: Any, path: Path, options: dict[str, Any]) -> None:  # noqa: ANN401
    # With a choice of atoms, mdtraj does not compare the topology with what a frame holds.
    try:
        with contextlib.closing(mdtraj.iterload(os.fspath(path), chunk=1, **options)) as reader:
            _next(reader)
    except Exception as error:
        msg = f"mdtraj cannot read its first frame with this topology: {_one_line(error)}"
        raise StructureError(msg) from error


def _next(reader: Iterator[Any]) -> Any:  # noqa: ANN401
    with _quiet():
        return next(reader, None)


def _declared_frames(path: Path) -> int:
    """Return how many frames a DCD file promises (mdtraj reads what is there), else 0."""
    with path.open("rb") as file:
        head = file.read(12)
    if path.suffix.lower() != ".dcd" or head[4:8] != _DCD_START:
        return 0
    order = "<" if head[:4] == struct.pack("<i", 84) else ">"
    return max(0, struct.unpack(order + "i", head[8:12])[0])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep readers from writing to standard output, which is for tokens, and from warning."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = os.dup(1)
        try:
            os.dup2(2, 1)
            yield
        finally:
            os.dup2(saved, 1)
            os.close(saved)


def _one_line(error: BaseException) -> str:
    # Of a message of many lines, such as HDF5's, the last one says what failed.
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
