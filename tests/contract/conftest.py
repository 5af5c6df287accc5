"""How do the contract's tests write one small structure in every format, and read it back?"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import backbones_of_bytes
from provq_protein.tokenizer import StructureTokenizer

# One residue in its own frame, and the step to the next: C to N is then 1.19 Angstrom.
PLACES = {"N": (-0.53, 1.36, 0.0), "CA": (0.0, 0.0, 0.0), "C": (1.52, 0.0, 0.0)}
STEP = np.array([2.05, -0.17, 0.0])
BACKBONE = ("N", "CA", "C")

# What a format can say: PDB has no entities, and mmCIF need not name them.
PDB, CIF, BARE_CIF, BCIF = "PDB", "mmCIF", "mmCIF without entities", "BinaryCIF"
EVERY_FORMAT = (PDB, CIF, BARE_CIF, BCIF)

_COLUMNS = (
    "group_PDB", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z",
    "occupancy", "B_iso_or_equiv", "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num",
)  # fmt: skip


@dataclass
class Made:
    """Collects atoms, and writes them in any format; residues are bonded to the one before."""

    atoms: list[dict] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    ters: set[int] = field(default_factory=set)
    entity_types: dict[str, str] = field(default_factory=lambda: {"1": "polypeptide(L)"})
    categories: str = ""
    placed: int = 0
    model: int = 1

    def atom(self, name: str, component: str, number: int, **given) -> None:
        """Add one atom at its place in the residue now under construction."""
        options = {
            "chain": "A", "altloc": "", "insertion": "", "hetero": False, "shift": 0.0,
            "occupancy": 1.0, "b_factor": 20.0, "xyz": None, "entity": "1", "label_chain": None,
            "position": self.placed,
        } | given  # fmt: skip
        place = np.array(PLACES.get(name, (0.0, -1.5, 0.0))) + self.placed * STEP
        place[2] += options["shift"]
        options["xyz"] = place.tolist() if options["xyz"] is None else options["xyz"]
        options["label_chain"] = options["label_chain"] or options["chain"].strip() or "A"
        named = {"name": name, "component": component, "number": number, "model": self.model}
        self.atoms.append(options | named)

    def residue(
        self, component: str, number: int, *, atoms: Sequence[str] = BACKBONE, **given
    ) -> None:
        """Add atoms of the next residue of a polymer."""
        self.placed += 1
        for name in atoms:
            self.atom(name, component, number, **given)

    def free(self, component: str, number: int, *, atoms: Sequence[str] = BACKBONE, **given):
        """Add a molecule that is in no polymer, far from everything."""
        self.gap()
        options = {"hetero": True, "entity": "2", "position": ".", "label_chain": "Z"}
        self.residue(component, number, atoms=atoms, **(options | given))

    def gap(self) -> None:
        """Leave room for ten residues, so that the next one is not bonded to the last."""
        self.placed += 10

    def ter(self) -> None:
        """End the chain of the last atom, as far as PDB files can."""
        self.ters.add(len(self.atoms))

    def next_model(self) -> None:
        """Begin another model at the place of the first."""
        self.model, self.placed = self.model + 1, 0

    def pdb(self) -> str:
        """Return a PDB file."""
        lines = list(self.header)
        for index, one in enumerate(self.atoms):
            if self.model > 1 and (index == 0 or one["model"] != self.atoms[index - 1]["model"]):
                lines += [*(["ENDMDL"] if index else []), f"MODEL     {one['model']:4d}"]
            x, y, z = one["xyz"]
            lines.append(
                f"{'HETATM' if one['hetero'] else 'ATOM':<6}{index + 1:5d} {one['name']:^4}"
                f"{one['altloc']:1}{one['component']:>3} {one['chain']:1}{one['number']:>4}"
                f"{one['insertion']:1}   {x:8.3f}{y:8.3f}{z:8.3f}{one['occupancy']:6.2f}"
                f"{one['b_factor']:6.2f}          {one['name'][0]:>2}"
            )
            if index + 1 in self.ters:
                lines.append("TER")
        return "\n".join([*lines, "END", ""])

    def rows(self) -> list[list[str]]:
        """Return the values of ``atom_site``."""
        return [
            [
                "HETATM" if one["hetero"] else "ATOM", one["name"][0], one["name"],
                one["altloc"] or ".", one["component"], one["label_chain"], one["entity"],
                str(one["position"]), one["insertion"] or "?", *(f"{x:.3f}" for x in one["xyz"]),
                f"{one['occupancy']:.2f}", f"{one['b_factor']:.2f}", str(one["number"]),
                one["chain"], str(one["model"]),
            ]
            for one in self.atoms
        ]  # fmt: skip

    def cif(self, *, entities: bool = True) -> str:
        """Return an mmCIF file, with or without the category that declares polymers."""
        lines = ["data_made", "loop_", *(f"_atom_site.{name}" for name in _COLUMNS)]
        lines += [" ".join(row) for row in self.rows()] + ["#"]
        if entities:
            lines += ["loop_", "_entity_poly.entity_id", "_entity_poly.type"]
            lines += [f"{name} '{kind}'" for name, kind in self.entity_types.items()] + ["#"]
        return "\n".join(lines) + "\n" + self.categories

    def binary_cif(self) -> bytes:
        """Return the mmCIF file with entities as BinaryCIF, which biotite writes."""
        from biotite.structure.io.pdbx import (
            BinaryCIFBlock,
            BinaryCIFCategory,
            BinaryCIFColumn,
            BinaryCIFData,
            BinaryCIFFile,
            CIFFile,
        )

        block = CIFFile.read(io.StringIO(self.cif())).block
        categories = {}
        for name, category in block.items():
            columns = {}
            for key, column in category.items():
                values = column.as_array(str, masked_value="")
                mask = None if column.mask is None else BinaryCIFData(column.mask.array)
                columns[key] = BinaryCIFColumn(BinaryCIFData(values), mask)
            categories[name] = BinaryCIFCategory(columns)
        stream = io.BytesIO()
        BinaryCIFFile({"made": BinaryCIFBlock(categories)}).write(stream)
        return stream.getvalue()

    def content(self, kind: str) -> bytes:
        """Return the file in one of the formats."""
        if kind == BCIF:
            return self.binary_cif()
        return (self.pdb() if kind == PDB else self.cif(entities=kind == CIF)).encode()

    def chains(self, kind: str, *, model: int = 1) -> list[Backbone]:
        """Return the chains that are read from one of the formats."""
        return backbones_of_bytes(self.content(kind), source=kind, model=model)

    def chain(self, kind: str, *, model: int = 1) -> Backbone:
        """Return the only chain that is read from one of the formats."""
        (found,) = self.chains(kind, model=model)
        return found

    def each(self, kinds: Sequence[str] = EVERY_FORMAT) -> list[Backbone]:
        """Return the only chain, as read from each of the formats."""
        return [self.chain(kind) for kind in kinds]


def read(content: str | bytes, source: str = "given", *, model: int = 1) -> list[Backbone]:
    """Return the chains of a file that a test has written out."""
    data = content if isinstance(content, bytes) else content.encode()
    return backbones_of_bytes(data, source=source, model=model)


def residue_table(chain: Backbone) -> list[tuple]:
    """Return what every format has to give alike, one tuple per residue."""
    coords = np.round(chain.coords.astype(float), 3) + 0.0
    return list(
        zip(
            chain.residue_ids,
            chain.residue_names,
            chain.sequence,
            chain.resolved.tolist(),
            [str(place) for place in coords.tolist()],
            strict=True,
        )
    )


@pytest.fixture
def made() -> Made:
    """Return an empty structure to fill."""
    return Made()


@pytest.fixture(scope="session")
def read_text() -> Callable[..., list[Backbone]]:
    """Return `read`."""
    return read


@pytest.fixture(scope="session")
def table() -> Callable[[Backbone], list[tuple]]:
    """Return `residue_table`."""
    return residue_table


@pytest.fixture(scope="session")
def tokenizer() -> StructureTokenizer:
    """Return the shipped model."""
    return StructureTokenizer.from_pretrained()


@pytest.fixture
def samples(repo_root: Path) -> Path:
    """Return the folder of the structures that ship with the repository."""
    return repo_root / "data" / "structures"


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Return a function that writes a file into a fresh folder."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
