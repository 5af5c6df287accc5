"""Do the rules for residues hold whatever a file looks like, and the same in every format?

Structures are drawn at random with every oddity that real ones have, written in each format by the
few lines below, and read back. What is expected follows from what was drawn, not from the reader.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from biotite.structure.io.pdbx import BinaryCIFBlock, BinaryCIFCategory, BinaryCIFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from provq_protein.errors import StructureError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import backbones_of_bytes
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import load_recipe

NAMES = ("ALA", "GLY", "MET", "UNK", "DAL")
MODIFIED = ("MSE", "SEP", "CSO")
ATOMS = ("N", "CA", "C", "CB")
WHOLE = (True, True, True, True)
UNKNOWN = (np.nan, np.nan, np.nan)
# Without deadlines: they would time the machine.
EXAMPLES = settings(max_examples=25, derandomize=True, deadline=None, database=None)


@dataclass(frozen=True)
class Conformer:
    """One of the ways in which a residue is there."""

    name: str
    present: tuple[bool, ...] = WHOLE
    finite: tuple[bool, ...] = WHOLE
    occupancy: float = 1.0
    altloc: str = ""


@dataclass(frozen=True)
class Residue:
    """One position of a chain: number, insertion code and conformers."""

    number: int
    insertion: str
    conformers: tuple[Conformer, ...]
    label_number: int = 0

    def chosen(self) -> Conformer:
        """Return the first of the most occupied conformers with the most backbone atoms."""

        def rank(conformer: Conformer) -> tuple[int, float]:
            both = zip(conformer.present[:3], conformer.finite[:3], strict=True)
            return sum(here and known for here, known in both), conformer.occupancy

        return max(self.conformers, key=rank)


@dataclass(frozen=True)
class Segment:
    """What one label chain holds: a stretch of polypeptide, closed by a TER record."""

    chain: str
    residues: tuple[Residue, ...]
    kind: str = "polypeptide"


@dataclass(frozen=True)
class Atom:
    """One row of a file."""

    hetero: bool
    name: str
    altloc: str
    component: str
    chain: str
    number: int
    insertion: str
    xyz: tuple[float | None, ...]
    occupancy: float
    label_chain: str
    label_number: int | None
    model: int
    ends: bool = False


# -------------------------------------------------------------------------------------- drawing


@st.composite
def residues(draw: st.DrawFn) -> tuple[Residue, ...]:
    """A stretch of chain, with gaps, insertions, repeated and negative numbers."""
    only_ca = draw(st.integers(0, 9)) == 0
    number = draw(st.integers(-12, 990))
    label = draw(st.integers(1, 5))
    drawn: list[Residue] = []
    for _ in range(draw(st.integers(1, 7))):
        step = draw(st.sampled_from(("next", "next", "next", "gap", "insertion", "same")))
        insertion = ""
        last = drawn[-1] if drawn else None
        if step == "insertion" and last is not None and last.insertion < "C":
            insertion = chr(ord(last.insertion or "@") + 1)
        elif step != "same" or last is None:
            number += 1 if step != "gap" else draw(st.integers(2, 40))
        label += 1 if step != "gap" else draw(st.integers(2, 9))
        conformers = _only_ca(draw) if only_ca else draw(conformer_sets())
        here = Residue(number, insertion, conformers, label)
        held = [(residue.number, residue.insertion) for residue in drawn]
        # Twice in a row, at most.
        twice = held[-1:] == [(number, insertion)] and held.count(held[-1]) == 1
        if (number, insertion) in held and not (twice and _told_apart(here, drawn[-1])):
            # A PDB file cannot say more: alternatives of a residue may be listed after others.
            number = max(residue.number for residue in drawn) + 1
            here = replace(here, number=number, insertion="")
        drawn.append(here)
    return tuple(drawn)


def _only_ca(draw: st.DrawFn) -> tuple[Conformer, ...]:
    return (Conformer(draw(st.sampled_from(NAMES[:3])), (False, True, False, False)),)


def _told_apart(here: Residue, last: Residue) -> bool:
    """A repeated number is another residue if its name is another and it has no alternatives."""
    plain = all(len(residue.conformers) == 1 for residue in (here, last))
    names = [residue.conformers[0].name for residue in (here, last)]
    whole = all(residue.conformers[0].present == WHOLE for residue in (here, last))
    return plain and whole and names[0] != names[1]


@st.composite
def conformer_sets(draw: st.DrawFn) -> tuple[Conformer, ...]:
    """One conformer with atoms missing, or two complete ones, or two kinds of residue."""
    name = draw(st.sampled_from((*NAMES, *NAMES, *MODIFIED)))
    kind = draw(st.sampled_from(("plain", "plain", "plain", "lacking", "altloc", "kinds")))
    if kind == "plain":
        return (Conformer(name),)
    if kind == "lacking":
        present = draw(st.tuples(*[st.booleans()] * 4).filter(any))
        finite = draw(st.sampled_from((WHOLE, WHOLE, (True, False, True, True))))
        return (Conformer(draw(st.sampled_from(NAMES[:3])), present, finite),)
    first, second = draw(st.sampled_from(((0.5, 0.5), (0.3, 0.7), (0.8, 0.2))))
    other = draw(st.sampled_from(NAMES[:3])) if kind == "kinds" else name
    return (
        Conformer(name, occupancy=first, altloc="A"),
        Conformer(other, occupancy=second, altloc="B"),
    )


@st.composite
def structures(draw: st.DrawFn, ids: Sequence[str]) -> tuple[Segment, ...]:
    """A few chains, of which one may go on after its TER record, and others hold no peptide."""
    names = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4))
    segments = [Segment(name, draw(residues())) for name in names]
    for kind in draw(st.lists(st.sampled_from(("water", "ion", "dna")), max_size=2)):
        component = {"water": "HOH", "ion": "CA", "dna": "DA"}[kind]
        place = Residue(2000 + len(segments), "", (Conformer(component),))
        segments.append(Segment(draw(st.sampled_from(ids)), (place,), kind))
    return tuple(segments)


ONE_LETTER = ("A", "B", "C", "a", "1")
ANY_LETTERS = (*ONE_LETTER, "NA", "AA", "Ab2", "null")


# -------------------------------------------------------------------------------------- writing


def atoms(segments: Sequence[Segment], models: int) -> Iterator[Atom]:
    """Rows in file order; every atom has coordinates of its own, whatever else is in the file."""
    for model in range(1, models + 1):
        for index, segment in enumerate(segments):
            for place, residue in enumerate(segment.residues):
                rows = list(_residue_atoms(segment, index, place, residue, model))
                last = place + 1 == len(segment.residues) and segment.kind in ("polypeptide", "dna")
                yield from rows[:-1]
                yield replace(rows[-1], ends=last)


def _residue_atoms(
    segment: Segment, index: int, place: int, residue: Residue, model: int
) -> Iterator[Atom]:
    polymer = segment.kind in ("polypeptide", "dna")
    for conformer in residue.conformers:
        for slot, name in enumerate(_atom_names(segment.kind)):
            if not conformer.present[slot]:
                continue
            xyz = position(segment, place, slot, conformer.altloc, model)
            yield Atom(
                hetero=not polymer or conformer.name in MODIFIED,
                name=name,
                altloc=conformer.altloc,
                component=conformer.name,
                chain=segment.chain,
                number=residue.number,
                insertion=residue.insertion,
                xyz=xyz if conformer.finite[slot] else (None, None, None),
                occupancy=conformer.occupancy,
                label_chain=f"L{index}",
                label_number=residue.label_number if polymer else None,
                model=model,
            )


def _atom_names(kind: str) -> tuple[str, ...]:
    return {"polypeptide": ATOMS, "dna": ("P", "C1'"), "water": ("O",), "ion": ("CA",)}[kind]


def position(
    segment: Segment, place: int, slot: int, altloc: str, model: int
) -> tuple[float, float, float]:
    """Coordinates that three decimals hold, and that follow from the residue itself."""
    residue = segment.residues[place]
    along = 3.8 * place + (-0.9, 0.0, 1.1, 0.2)[slot]
    turn = (0.6, 0.0, -0.7, 1.5)[slot] * (1 if place % 2 else -1)
    shift = (ord(altloc) - 64) / 8 if altloc else 0.0
    start = (sum(map(ord, segment.chain)) + residue.number - place) % 90 - 45
    return (round(along + start, 3), round(turn + shift, 3), round(model + 0.5 * (place % 3), 3))


def pdb_text(rows: Sequence[Atom]) -> bytes:
    """A PDB file."""
    lines: list[str] = []
    for serial, atom in enumerate(rows, start=1):
        if serial == 1 or rows[serial - 2].model != atom.model:
            lines += ["ENDMDL"] * (serial > 1) + [f"MODEL     {atom.model:4d}"]
        xyz = "".join("        " if value is None else f"{value:8.3f}" for value in atom.xyz)
        lines.append(
            f"{'HETATM' if atom.hetero else 'ATOM':<6}{serial:5d} {atom.name:^4}{atom.altloc:1}"
            f"{atom.component:>3} {atom.chain}{atom.number:4d}{atom.insertion:1}   {xyz}"
            f"{atom.occupancy:6.2f}{20.0:6.2f}          {atom.name[0]:>2}"
        )
        if atom.ends:
            lines.append("TER")
    return "\n".join([*lines, "ENDMDL", "END", ""]).encode()


def cif_columns(rows: Sequence[Atom], segments: Sequence[Segment]) -> dict[str, dict[str, list]]:
    """The categories of an mmCIF file."""
    kinds = [segment.kind for segment in segments]
    site = {
        "group_PDB": ["HETATM" if atom.hetero else "ATOM" for atom in rows],
        "label_atom_id": [atom.name for atom in rows],
        "label_alt_id": [atom.altloc or "." for atom in rows],
        "label_comp_id": [atom.component for atom in rows],
        "label_asym_id": [atom.label_chain for atom in rows],
        "label_entity_id": [f"{int(atom.label_chain[1:]) + 1}" for atom in rows],
        "label_seq_id": [_shown(atom.label_number) for atom in rows],
        "pdbx_PDB_ins_code": [atom.insertion or "?" for atom in rows],
        **{
            f"Cartn_{axis}": [_shown(atom.xyz[slot]) for atom in rows]
            for slot, axis in enumerate("xyz")
        },
        "occupancy": [f"{atom.occupancy:.2f}" for atom in rows],
        "B_iso_or_equiv": ["20.00"] * len(rows),
        "auth_seq_id": [f"{atom.number}" for atom in rows],
        "auth_asym_id": [atom.chain for atom in rows],
        "pdbx_PDB_model_num": [f"{atom.model}" for atom in rows],
    }  # fmt: skip
    names = {"polypeptide": "polypeptide(L)", "dna": "polydeoxyribonucleotide"}
    polymers = [(f"{n + 1}", names[kind]) for n, kind in enumerate(kinds) if kind in names]
    poly = {"entity_id": [entity for entity, _ in polymers], "type": [kind for _, kind in polymers]}
    return {"entity_poly": poly, "atom_site": site}


def _shown(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def cif_text(categories: dict[str, dict[str, list]]) -> bytes:
    """An mmCIF file."""
    lines = ["data_DRAWN", "#"]
    for category, columns in categories.items():
        lines += ["loop_", *(f"_{category}.{name}" for name in columns)]
        lines += [" ".join(row) for row in zip(*columns.values(), strict=True)] + ["#"]
    return ("\n".join(lines) + "\n").encode()


def bcif_bytes(categories: dict[str, dict[str, list]]) -> bytes:
    """A BinaryCIF file."""
    from biotite.structure.io.pdbx import CIFFile

    text = CIFFile.read(io.StringIO(cif_text(categories).decode()))
    block = BinaryCIFBlock()
    for category, columns in text.block.items():
        held = {}
        for name, column in columns.items():
            numbers = name.startswith("Cartn") or name in ("occupancy", "B_iso_or_equiv")
            whole = name in ("label_seq_id", "auth_seq_id", "pdbx_PDB_model_num")
            kind = np.float64 if numbers else np.int32 if whole else str
            mask = None if column.mask is None else column.mask.array
            values = column.as_array(kind, masked_value=0 if kind is not str else "")
            held[name] = _bcif_column(values, mask)
        block[category] = BinaryCIFCategory(held)
    written = io.BytesIO()
    BinaryCIFFile({"DRAWN": block}).write(written)
    return written.getvalue()


def _bcif_column(values: np.ndarray, mask: np.ndarray | None):
    from biotite.structure.io.pdbx import BinaryCIFColumn, BinaryCIFData

    return BinaryCIFColumn(BinaryCIFData(values), None if mask is None else BinaryCIFData(mask))


# -------------------------------------------------------------------------------------- reading


def written(segments: Sequence[Segment], models: int) -> dict[str, bytes]:
    """The structure in every format that can hold it."""
    rows = list(atoms(segments, models))
    categories = cif_columns(rows, segments)
    files = {"x.cif": cif_text(categories), "x.bcif": bcif_bytes(categories)}
    if all(len(segment.chain) == 1 for segment in segments):
        files["x.pdb"] = pdb_text(rows)
    return files


def read(content: bytes, name: str, model: int = 1) -> list[Backbone]:
    """The chains of a file, or none if it says that there are none."""
    try:
        return backbones_of_bytes(content, source=name, model=model)
    except StructureError as error:
        assert "no polypeptide chain" in str(error)
        return []


def rows_of(chain: Backbone) -> list[tuple]:
    """The residue table of a chain: what must be the same in all formats."""
    coords = np.where(np.isfinite(chain.coords), np.round(chain.coords, 3) + 0.0, np.nan)
    columns = (
        chain.residue_names,
        chain.author_numbers.tolist(),
        chain.insertion_codes,
        chain.sequence,
        chain.resolved.tolist(),
        [str(residue.tolist()) for residue in coords],
    )
    return list(zip(*columns, strict=True))


def expected(segments: Sequence[Segment], model: int) -> dict[str, list[tuple]]:
    """Names, numbers, codes, which are resolved and where, by chain in file order."""
    table: dict[str, list[tuple]] = {}
    for segment in segments:
        if segment.kind != "polypeptide":
            continue
        for place, residue in enumerate(segment.residues):
            chosen = residue.chosen()
            known = [
                here and there for here, there in zip(chosen.present, chosen.finite, strict=True)
            ]
            coords = [
                position(segment, place, slot, chosen.altloc, model) if known[slot] else UNKNOWN
                for slot in range(3)
            ]
            row = (chosen.name, residue.number, residue.insertion, all(known[:3]), coords)
            table.setdefault(segment.chain, []).append(row)
    return table


# ------------------------------------------------------------------------------------ properties


@EXAMPLES
@given(structures(ANY_LETTERS), st.integers(1, 2))
def test_every_residue_appears_once_in_order_with_its_number_and_conformer(
    segments: tuple[Segment, ...], models: int
) -> None:
    for name, content in written(segments, models).items():
        for model in range(1, models + 1):
            chains = read(content, name, model)
            wanted = expected(segments, model)
            assert [chain.chain_id for chain in chains] == list(wanted)
            for chain in chains:
                rows = wanted[chain.chain_id]
                assert chain.residue_names == tuple(row[0] for row in rows)
                assert chain.author_numbers.tolist() == [row[1] for row in rows]
                assert chain.insertion_codes == tuple(row[2] for row in rows)
                assert chain.resolved.tolist() == [row[3] for row in rows]
                coords = np.array([row[4] for row in rows])
                np.testing.assert_allclose(chain.coords, coords, atol=1e-4)


@EXAMPLES
@given(structures(ONE_LETTER), st.integers(1, 2))
def test_all_formats_give_the_same_residue_table(
    segments: tuple[Segment, ...], models: int
) -> None:
    files = written(segments, models)
    assert set(files) == {"x.cif", "x.bcif", "x.pdb"}
    tables = [
        [(chain.chain_id, rows_of(chain)) for chain in read(content, name)]
        for name, content in files.items()
    ]
    assert tables[0] == tables[1] == tables[2]


@EXAMPLES
@given(structures(ANY_LETTERS))
def test_a_residue_is_masked_if_and_only_if_a_backbone_atom_is_absent_or_not_finite(
    segments: tuple[Segment, ...],
) -> None:
    for name, content in written(segments, 1).items():
        for chain in read(content, name):
            finite = np.isfinite(chain.coords).all(axis=(1, 2))
            np.testing.assert_array_equal(chain.resolved, finite)
            assert len(chain) == len(chain.coords) == len(chain.residue_ids)


@EXAMPLES
@given(structures(ANY_LETTERS), st.randoms(use_true_random=False))
def test_the_order_of_other_chains_does_not_change_a_chain(
    segments: tuple[Segment, ...], random
) -> None:
    names = list(dict.fromkeys(segment.chain for segment in segments))
    random.shuffle(names)
    # The parts of one chain keep their order, and their coordinates.
    moved = [segment for name in names for segment in segments if segment.chain == name]
    for file, again in zip(written(segments, 1).items(), written(moved, 1).items(), strict=True):
        before = {chain.chain_id: rows_of(chain) for chain in read(*file[::-1])}
        after = {chain.chain_id: rows_of(chain) for chain in read(*again[::-1])}
        assert before == after


@pytest.fixture(scope="module")
def tokenizer() -> StructureTokenizer:
    """A small untrained tokenizer."""
    return StructureTokenizer(StructureAutoencoder.build(load_recipe("smoke").model, seed=3))


@settings(EXAMPLES, max_examples=10)
@given(segments=structures(ONE_LETTER))
def test_encoding_gives_one_row_for_each_residue_and_a_token_where_it_is_resolved(
    tokenizer: StructureTokenizer, segments: tuple[Segment, ...]
) -> None:
    ids = []
    for name, content in written(segments, 1).items():
        chains = [chain for chain in read(content, name) if chain.resolved.any()]
        tokens = tokenizer.encode(chains)
        assert [len(chain) for chain in tokens] == [len(chain) for chain in chains]
        for chain, encoded in zip(chains, tokens, strict=True):
            np.testing.assert_array_equal(encoded.ids >= 0, chain.resolved)
            assert encoded.residue_ids == chain.residue_ids
        ids.append([(chain.chain_id, chain.ids.tolist()) for chain in tokens])
    assert ids[0] == ids[1] == ids[2]
