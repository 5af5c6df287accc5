"""Are assemblies and full sequences what the file declares, in every format?"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones

STRUCTURES = Path("..") / "shared" / "data" / "structures" / "rcsb"
FULL, ASSEMBLY = ResiduePolicy(sequence="full"), ResiduePolicy(assembly="1")
QUARTER_TURN = ("0 -1 0 10.0", "1 0 0 0.0", "0 0 1 0.0")


@pytest.fixture
def samples(repo_root: Path) -> Path:
    """Return the folder of sample structures."""
    return repo_root / "data" / "structures"


def summary(chains: list[Backbone]) -> list[tuple]:
    return [
        (
            chain.chain_id,
            chain.model,
            chain.sequence,
            chain.residue_names,
            chain.residue_ids,
            chain.resolved.tolist(),
        )
        for chain in chains
    ]


def distances(chain: Backbone) -> np.ndarray:
    alpha = chain.coords[chain.resolved, 1].astype(float)
    return np.linalg.norm(alpha[:, None] - alpha[None], axis=-1)


def mmcif(operations: str, generators: str, *, scheme: str = "", numbers: bool = True) -> str:
    """Return chains A (label A, residues 11 to 13) and C (label B), with assemblies."""
    rows = []
    for entity, (label, author) in enumerate((("A", "A"), ("B", "C")), start=1):
        for place in range(3):
            for name, x, y in (("N", -0.5, 1.4), ("CA", 0.0, 0.0), ("C", 1.5, 0.0)):
                number = place + 2 if numbers else "."
                rows.append(
                    f"ATOM {name[0]} {name} . GLY {label} {entity} {number} ? "
                    f"{3.8 * place + x:.3f} {y:.3f} {10.0 * entity:.3f} 1.00 20.00 {place + 11} "
                    f"{author} 1"
                )
    names = (
        "group_PDB", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
        "label_asym_id", "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x",
        "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv", "auth_seq_id", "auth_asym_id",
        "pdbx_PDB_model_num",
    )  # fmt: skip
    poly = (
        "loop_\n_entity_poly.entity_id\n_entity_poly.type\n"
        "1 'polypeptide(L)'\n2 'polypeptide(L)'\n#\n"
    )
    atoms = "\n".join(["loop_", *(f"_atom_site.{name}" for name in names), *rows, "#", ""])
    return f"data_made\n#\n{poly}{scheme}{generators}{operations}{atoms}"


def generators(*rows: str) -> str:
    names = ("assembly_id", "oper_expression", "asym_id_list")
    head = [f"_pdbx_struct_assembly_gen.{name}" for name in names]
    return "\n".join(["loop_", *head, *rows, "#", ""])


def operations(**transforms: tuple[str, str, str]) -> str:
    head = ["id", *(f"matrix[{i}][{j}]" for i in "123" for j in "123")]
    head += [f"vector[{i}]" for i in "123"]
    rows = []
    for name, lines in transforms.items():
        words = [line.split() for line in lines]
        rotation = " ".join(" ".join(line[:3]) for line in words)
        rows.append(f"{name.strip('_')} {rotation} {' '.join(line[3] for line in words)}")
    return "\n".join(
        ["loop_", *(f"_pdbx_struct_oper_list.{name}" for name in head), *rows, "#", ""]
    )


IDENTITY = ("1 0 0 0.0", "0 1 0 0.0", "0 0 1 0.0")
LIFT = ("1 0 0 0.0", "0 1 0 0.0", "0 0 1 100.0")


def test_copies_are_moved_and_named(write_file: Callable[..., Path]) -> None:
    text = mmcif(
        operations(_1=IDENTITY, _2=QUARTER_TURN, P=LIFT),
        generators("1 1,2 A,B", "X 1 B", "X (P)(1-2) A"),
    )
    path = write_file(text, "made.cif")
    first, second = read_backbones(path)
    found = read_backbones(path, policy=ASSEMBLY)
    assert [chain.chain_id for chain in found] == ["A", "C", "A-2", "C-2"]
    assert [chain.label_chain_id for chain in found] == ["A", "B", "A-2", "B-2"]
    assert found[0].coords.tobytes() == first.coords.tobytes()
    x, y, z = np.moveaxis(second.coords, -1, 0)
    assert np.allclose(found[3].coords, np.stack([10 - y, x, z], axis=-1), atol=1e-4)
    named = read_backbones(path, policy=ResiduePolicy(assembly="X"))
    assert [chain.chain_id for chain in named] == ["C", "A", "A-2"]
    x, y, z = np.moveaxis(first.coords, -1, 0)
    assert np.allclose(named[1].coords, np.stack([x, y, z + 100], axis=-1), atol=1e-4)
    assert np.allclose(named[2].coords, np.stack([10 - y, x, z + 100], axis=-1), atol=1e-4)


def test_a_chain_id_stands_for_its_copies(write_file: Callable[..., Path]) -> None:
    text = mmcif(operations(_1=IDENTITY, _2=LIFT), generators("1 1,2 A,B"))
    path = write_file(text, "made.cif")

    def names(*chains: str) -> list[str]:
        policy = ResiduePolicy(assembly="1", chains=chains)
        return [chain.chain_id for chain in read_backbones(path, policy=policy)]

    assert names("C") == ["C", "C-2"]
    assert names("C-2", "A") == ["A", "A-2", "C-2"]
    with pytest.raises(StructureError, match=r"chain A-3 is not .* it has A, C, A-2, C-2"):
        names("A-3")


def test_the_order_in_which_operations_are_applied(write_file: Callable[..., Path]) -> None:
    shift = ("1 0 0 5.0", "0 1 0 0.0", "0 0 1 0.0")
    text = mmcif(operations(R=QUARTER_TURN, S=shift), generators("1 (R)(S) A"))
    path = write_file(text, "made.cif")
    x, y, z = np.moveaxis(read_backbones(path)[0].coords, -1, 0)
    found = read_backbones(path, policy=ASSEMBLY)[0].coords
    assert np.allclose(found, np.stack([10 - y, x + 5, z], axis=-1), atol=1e-4)


@pytest.mark.parametrize(
    ("transforms", "rows", "message"),
    [
        ({"_1": IDENTITY}, ["2 1 A"], "assembly 1 is not in the file; it has 2"),
        ({"_1": IDENTITY}, ["1 1,7 A"], "names operation 7, which the file does not have"),
        ({"_1": IDENTITY}, ["1 1 Q"], "no polypeptide chain in assembly 1"),
        ({"_1": IDENTITY}, ["1 1-999999999 A"], "asks for 999999999 operations; at most 10000"),
        ({"_1": IDENTITY}, ["1 (1-200)(1-200) A"], "asks for 40000 operations; at most 10000"),
        ({"_1": IDENTITY}, ["1 x(1) A"], "cannot understand the expression 'x(1)'"),
        ({"_1": ("1 0 0 0", "0 1 0 0", "0 0 -1 0")}, ["1 1 A"], "is no rotation"),
        ({"_1": ("2 0 0 0", "0 2 0 0", "0 0 2 0")}, ["1 1 A"], "is no rotation"),
    ],
)
def test_an_assembly_that_cannot_be_made(
    write_file: Callable[..., Path], transforms: dict, rows: list[str], message: str
) -> None:
    path = write_file(mmcif(operations(**transforms), generators(*rows)), "made.cif")
    with pytest.raises(StructureError) as caught:
        read_backbones(path, policy=ASSEMBLY)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_file_without_assemblies_says_so(
    pdb, write_file: Callable[..., Path], samples: Path
) -> None:
    pdb.residue("ALA", 1)
    for path in (write_file(pdb.text()), write_file(mmcif("", ""), "made.cif")):
        with pytest.raises(StructureError, match="describes none; leave the assembly out"):
            read_backbones(path, policy=ASSEMBLY)


def test_a_pdb_file_makes_the_assembly_of_its_mmcif_file(samples: Path) -> None:
    cif, pdb = (read_backbones(samples / f"1a8o.{suffix}", policy=ASSEMBLY) for suffix in (
        "cif", "pdb"))  # fmt: skip
    assert [chain.chain_id for chain in cif] == ["A", "A-2"]
    assert summary(cif) == summary(pdb)
    for one, other in zip(cif, pdb, strict=True):
        assert np.allclose(one.coords, other.coords, atol=1e-3)
        assert np.allclose(distances(one), distances(cif[0]), atol=1e-3)
    assert not np.allclose(cif[0].coords, cif[1].coords)


def test_remark_350_with_several_biomolecules_and_groups(
    pdb, write_file: Callable[..., Path]
) -> None:
    def biomt(serial: int, z: float) -> list[str]:
        rows = ("1.0 0.0 0.0  0.0", "0.0 1.0 0.0  0.0", f"0.0 0.0 1.0  {z}")
        return [f"REMARK 350   BIOMT{i}  {serial}  {row}" for i, row in enumerate(rows, start=1)]

    for line in (
        "REMARK 350 BIOMOLECULE: 1",
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A,",
        "REMARK 350                    AND CHAINS: B",
        *biomt(1, 0.0),
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: NULL",
        *biomt(1, 50.0),
        "REMARK 350 BIOMOLECULE: 2",
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: B",
        *biomt(1, 0.0),
        *biomt(2, 9.0),
    ):
        pdb.add(line)
    for chain in ("A", "B", " "):
        pdb.residue("ALA", 1, chain=chain)
    path = write_file(pdb.text())
    both = read_backbones(path, policy=ASSEMBLY)
    assert [chain.chain_id for chain in both] == ["A", "B", "_"]
    assert both[2].coords[0, 1, 2] == pytest.approx(50.0)
    other = read_backbones(path, policy=ResiduePolicy(assembly="2"))
    assert [chain.chain_id for chain in other] == ["B", "B-2"]
    assert other[1].coords[0, 1, 2] == pytest.approx(9.0)


def test_tokens_of_a_copy_are_those_of_the_original(samples: Path) -> None:
    from provq_protein.tokenizer import StructureTokenizer

    tokenizer = StructureTokenizer.from_pretrained()
    copies = read_backbones(samples / "1a8o.cif", policy=ASSEMBLY)
    copies += read_backbones(samples / "3jqh.cif", policy=ASSEMBLY)[:3]
    tokens = {
        chain.chain_id + chain.source: chain.ids.tolist() for chain in tokenizer.encode(copies)
    }
    assert len(tokens) == 5
    for name, ids in tokens.items():
        assert ids == tokens[name.replace("-2", "").replace("-3", "")], name


def test_the_full_sequence_of_samples(samples: Path) -> None:
    for name, lengths in {"3jqh.cif": [167], "2xhe.pdb.gz": [650, 279]}.items():
        resolved = read_backbones(samples / name)
        full = read_backbones(samples / name, policy=FULL)
        assert [len(chain) for chain in full] == lengths
        for before, after in zip(resolved, full, strict=True):
            assert after.coords[after.resolved].tobytes() == (
                before.coords[before.resolved].tobytes()
            )
            assert after.label_numbers.tolist() == list(range(1, len(after) + 1))
            kept = np.isin(np.array(after.residue_ids), before.residue_ids)
            assert [after.sequence[place] for place in np.flatnonzero(kept)] == [*before.sequence]


SCHEME = (
    "loop_\n_pdbx_poly_seq_scheme.asym_id\n_pdbx_poly_seq_scheme.seq_id\n"
    "_pdbx_poly_seq_scheme.mon_id\n_pdbx_poly_seq_scheme.pdb_seq_num\n"
    "_pdbx_poly_seq_scheme.pdb_ins_code\n"
    "A 1 MSE -5 A\nA 2 GLY 11 .\nA 3 GLY 12 .\nA 4 GLY 13 .\nA 5 LYS 20 .\nA 5 ARG 20 .\n"
    "B 1 ALA 1 .\nB 2 GLY 11 .\nB 3 GLY 12 .\nB 4 GLY 13 .\n#\n"
)
ENTITY_SEQUENCES = (
    "loop_\n_entity_poly_seq.entity_id\n_entity_poly_seq.num\n_entity_poly_seq.mon_id\n"
    "1 1 MSE\n1 2 GLY\n1 3 GLY\n1 4 GLY\n1 5 LYS\n1 5 ARG\n2 1 ALA\n2 2 GLY\n2 3 GLY\n2 4 GLY\n#\n"
)


@pytest.mark.parametrize("numbers", [True, False])
@pytest.mark.parametrize(
    ("scheme", "ids"),
    [
        (SCHEME, ("-5A", "11", "12", "13", "20")),
        (ENTITY_SEQUENCES, ("10", "11", "12", "13", "14")),
    ],
    ids=["pdbx_poly_seq_scheme", "entity_poly_seq"],
)
def test_the_full_sequence_of_mmcif(
    write_file: Callable[..., Path], scheme: str, ids: tuple[str, ...], *, numbers: bool
) -> None:
    path = write_file(mmcif("", "", scheme=scheme, numbers=numbers), "made.cif")
    first, second = read_backbones(path, policy=FULL)
    assert (first.sequence, second.sequence) == ("MGGGK", "AGGG")
    assert first.residue_names == ("MSE", "GLY", "GLY", "GLY", "LYS")
    assert first.residue_ids == ids
    assert first.resolved.tolist() == [False, True, True, True, False]
    assert np.isnan(first.coords[~first.resolved]).all()
    assert np.isnan(first.b_factors[~first.resolved]).all()
    if numbers:
        label = ResiduePolicy(sequence="full", numbering="label")
        assert read_backbones(path, policy=label)[0].author_numbers.tolist() == [1, 2, 3, 4, 5]


def test_seqres_is_laid_by_names_and_numbers(pdb, write_file: Callable[..., Path]) -> None:
    pdb.add("SEQRES   1 A    9  GLY ALA GLY ALA GLY ALA GLY ALA MSE")
    for number, component in ((3, "GLY"), (4, "ALA")):
        pdb.residue(component, number)
    pdb.gap()
    pdb.residue("GLY", 7)
    chain = read_backbones(write_file(pdb.text()), policy=FULL)[0]
    assert chain.sequence == "GAGAGAGAM"
    # Two stretches, four numbers apart: by names alone several places would do.
    assert np.flatnonzero(chain.resolved).tolist() == [0, 1, 4]
    assert chain.author_numbers.tolist() == [3, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("REMARK   1", "declares no sequence for it"),
        ("SEQRES   1 B    2  GLY ALA", "declares no sequence for it"),
        ("SEQRES   1 A    2  ALA GLY", "not part of the sequence"),
        ("SEQRES   1 A    1  GLY", "not part of the sequence"),
    ],
)
def test_a_sequence_that_is_absent_or_another(
    pdb, write_file: Callable[..., Path], line: str, message: str
) -> None:
    pdb.add(line)
    for number, component in ((1, "GLY"), (2, "ALA")):
        pdb.residue(component, number)
    path = write_file(pdb.text())
    with pytest.raises(StructureError) as caught:
        read_backbones(path, policy=FULL)
    assert str(caught.value).startswith(f"{path}: chain A: ")
    assert message in str(caught.value)
    assert "'resolved'" in str(caught.value)


def test_an_mmcif_sequence_that_lacks_a_residue(write_file: Callable[..., Path]) -> None:
    scheme = SCHEME.replace("A 3 GLY 12 .\n", "")
    with pytest.raises(StructureError, match="chain A: its residues are not part of the sequence"):
        read_backbones(write_file(mmcif("", "", scheme=scheme), "made.cif"), policy=FULL)


def test_microheterogeneity_fits_the_sequence(pdb, write_file: Callable[..., Path]) -> None:
    pdb.add("SEQRES   1 A    3  GLY SER ALA")
    pdb.residue("GLY", 1)
    pdb.residue("SER", 2, altloc="A", occupancy=0.4)
    pdb.placed -= 1
    pdb.residue("THR", 2, altloc="B", occupancy=0.6)
    chain = read_backbones(write_file(pdb.text()), policy=FULL)[0]
    assert chain.residue_names == ("GLY", "THR", "ALA")
    assert chain.resolved.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("options", "entries"),
    [
        ({"sequence": "full"}, ["1o1z", "3wip", "5ugo"]),
        ({"assembly": "2"}, ["3wip"]),
        ({"model": "all"}, ["1l2y"]),
    ],
    ids=str,
)
def test_the_formats_of_an_entry_agree(repo_root: Path, options: dict, entries: list[str]) -> None:
    folder = repo_root / STRUCTURES
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    for entry in entries:
        read = [
            read_backbones(folder / f"{entry}.{suffix}", policy=ResiduePolicy(**options))
            for suffix in ("cif", "bcif", "pdb")
        ]
        assert summary(read[0]) == summary(read[1]) == summary(read[2]), entry
        for one, other in zip(read[0], read[2], strict=True):
            assert np.allclose(one.coords, other.coords, atol=1e-3, equal_nan=True)
