"""How do the frames of a molecular dynamics trajectory become chains (extra ``trajectory``)?"""

import contextlib
import math
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
from provq_protein.sources.topology import ChainPlan, Positions, chain_plans, in_angstrom
from provq_protein.structure.backbone import Backbone

_FRAMES_AT_ONCE = 100
# Readers may hold all atoms of the frames of a chunk, water too, before they choose.
_ATOMS_AT_ONCE = 4_000_000
_SELF_DESCRIBING = (".h5", ".hdf5", ".lh5", ".gsd")
# For files of other formats mdtraj makes times up, by counting frames.
_TIMED = (".xtc", ".trr", ".nc", ".netcdf", ".ncdf", ".h5", ".hdf5")
_DCD_START = b"CORD"


@dataclass(frozen=True, eq=False)
class TrajectoryFrame:
    """
    One frame of a trajectory.

    Parameters
    ----------
    number : int
        From 1.
    time : float
        In ps; *NaN* if the format has no times.
    label : str
        For instance ``"run.xtc!frame 12"``.
    plans : list of ChainPlan
        The protein chains, the same for all frames.
    positions : ndarray, shape=(atom, 3), dtype=float32
        Of the atoms that `plans` count, in Angstrom.
    """

    number: int
    time: float
    label: str
    plans: list[ChainPlan]
    positions: Positions

    def chain(self, plan: ChainPlan) -> Backbone:
        """
        Return one chain of the frame.

        Parameters
        ----------
        plan : ChainPlan
            One of `plans`.

        Returns
        -------
        Backbone
            Its `model` is the number of the frame.
        """
        return plan.at(self.positions, source=self.label, model=self.number)


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
    number = 0
    try:
        for frame in trajectory_frames(name, path, one_pass.topology):
            number = frame.number
            for plan in frame.plans:
                chain = frame.chain(plan) if one_pass.claim() else None
                yield Member(frame.label, source="trajectory", chain=chain)
        if number == 0:
            yield one_pass.problem(name, "the trajectory holds no frame", "trajectory")
    except (StructureError, MissingExtraError) as error:
        label = f"{name}!frame {number + 1}" if number else name
        yield one_pass.problem(label, str(error), "trajectory")


def trajectory_frames(name: str, path: Path, topology: Path | None) -> Iterator[TrajectoryFrame]:
    """
    Yield the frames of a trajectory.

    Parameters
    ----------
    name : str
        The trajectory, as its user named it.
    path : Path
        A file in a format that mdtraj reads.
    topology : Path or None
        Structure file of the same atoms, for formats that do not name them.

    Yields
    ------
    TrajectoryFrame
        In order.

    Raises
    ------
    StructureError
        If the topology does not do, or, after the frames that are sound, the file is damaged.
        The message does not name the trajectory.
    MissingExtraError
        If mdtraj is not installed.
    """
    mdtraj: Any = require_extra("mdtraj", extra="trajectory", purpose="reading trajectories")
    atoms = _topology(mdtraj, path, topology)
    kept, plans = _compact(chain_plans(atoms, name))
    timed = path.suffix.lower() in _TIMED
    number = 0
    for positions, times in _chunks(mdtraj, path, atoms, kept):
        for coords, time in zip(positions, times, strict=True):
            number += 1
            label = f"{name}!frame {number}"
            yield TrajectoryFrame(number, time if timed else math.nan, label, plans, coords)


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


def _compact(plans: list[ChainPlan]) -> tuple[npt.NDArray[np.int64], list[ChainPlan]]:
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
) -> Iterator[tuple[Positions, list[float]]]:
    """Yield positions of the kept atoms in Angstrom, shape (frame, atom, 3), and times in ps."""
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
                    yield in_angstrom(frames.xyz), frames.time.tolist()
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
