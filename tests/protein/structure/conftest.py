"""How do the tests of this folder write small structure files by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

# One residue in its own frame, and the step to the next: C to N is then 1.33 Angstrom.
RESIDUE = {"N": (-0.53, 1.36, 0.0), "CA": (0.0, 0.0, 0.0), "C": (1.52, 0.0, 0.0)}
STEP = np.array([2.05, -0.17, 0.0])


@dataclass
class PdbText:
    """Collects PDB records; each residue is placed bonded to the one before."""

    lines: list[str] = field(default_factory=list)
    placed: int = 0

    def atom(self, name: str, component: str, number: int, **fields: object) -> None:
        """Add one atom at its place in the residue now under construction."""
        options = {"chain": "A", "altloc": "", "insertion": "", "hetero": False, "shift": 0.0}
        options |= {"occupancy": 1.0, "b_factor": 20.0, "xyz": None} | fields
        origin = self.placed * STEP + options["shift"]
        place = np.array(RESIDUE.get(name, (0.0, -1.5, 0.0))) + origin
        x, y, z = place if options["xyz"] is None else options["xyz"]
        record = "HETATM" if options["hetero"] else "ATOM"
        self.lines.append(
            f"{record:<6}{len(self.lines) + 1:5d} {name:^4}{options['altloc']:1}{component:>3} "
            f"{options['chain']:1}{number:4d}{options['insertion']:1}   {x:8.3f}{y:8.3f}{z:8.3f}"
            f"{options['occupancy']:6.2f}{options['b_factor']:6.2f}          {name[0]:>2}"
        )

    def residue(
        self,
        component: str,
        number: int,
        *,
        atoms: Sequence[str] = ("N", "CA", "C"),
        **fields: object,
    ) -> None:
        """Add the backbone atoms of the next residue."""
        self.placed += 1
        for name in atoms:
            self.atom(name, component, number, **fields)

    def gap(self) -> None:
        """Leave room for ten residues, so that the next one is not bonded to the last."""
        self.placed += 10

    def add(self, line: str) -> None:
        """Add a record as it is."""
        self.lines.append(line)

    def text(self) -> str:
        """Return the file."""
        return "\n".join([*self.lines, "END", ""])


@pytest.fixture
def pdb() -> PdbText:
    """Return an empty PDB file to fill."""
    return PdbText()


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes text or bytes under a name in a fresh folder."""

    def write(content: str | bytes, name: str = "made.pdb") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
