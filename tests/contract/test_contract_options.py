"""What does each option change, and what do the defaults? Each test is one sentence."""

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import backbones_of_bytes

EVERY_FORMAT = ("PDB", "mmCIF", "mmCIF without entities", "BinaryCIF")
ALL_BUT_PDB = EVERY_FORMAT[1:]


@pytest.fixture
def take(made):
    """Return a function that reads what was made, in one format, under a policy."""

    def read(kind, **options):
        policy = ResiduePolicy(**options)
        return backbones_of_bytes(made.content(kind), source=kind, policy=policy)

    return read


def three_chains(made):
    for chain in "ABC":
        made.residue("GLY", 1, chain=chain)
        made.residue("ALA", 2, chain=chain)


def test_option_defaults(made, take, table):
    three_chains(made)
    made.residue("SER", 3, atoms=("N",), b_factor=10.0, altloc="B", chain="C")
    for kind in EVERY_FORMAT:
        assert [table(chain) for chain in take(kind)] == [table(one) for one in made.chains(kind)]


def test_option_chains(made, take):
    three_chains(made)
    for kind in EVERY_FORMAT:
        assert [chain.chain_id for chain in take(kind, chains=["C", "A"])] == ["A", "C"]
        with pytest.raises(StructureError, match="chain Z is not a polypeptide chain"):
            take(kind, chains=["Z"])


def test_option_model(made, take):
    for _ in range(2):
        made.residue("GLY", 1)
        made.residue("ALA", 1, chain="B")
        made.next_model()
    made.model = 2
    for kind in EVERY_FORMAT:
        assert [chain.model for chain in take(kind, model=2)] == [2, 2]
        every = [(chain.model, chain.chain_id) for chain in take(kind, model="all")]
        assert every == [(1, "A"), (1, "B"), (2, "A"), (2, "B")]


ASSEMBLY = """\
_pdbx_struct_assembly.id 1
_pdbx_struct_assembly_gen.assembly_id 1
_pdbx_struct_assembly_gen.oper_expression 1,2
_pdbx_struct_assembly_gen.asym_id_list A
#
loop_
_pdbx_struct_oper_list.id
""" + "".join(
    f"_pdbx_struct_oper_list.{kind}\n"
    for row in (1, 2, 3)
    for kind in (*(f"matrix[{row}][{column}]" for column in (1, 2, 3)), f"vector[{row}]")
)
OPERATORS = "1 1 0 0 0 0 1 0 0 0 0 1 0\n2 1 0 0 50 0 1 0 0 0 0 1 0\n#\n"


def test_option_assembly(made, take):
    made.residue("GLY", 1)
    made.residue("ALA", 1, chain="B")
    made.categories = ASSEMBLY + OPERATORS
    for kind in ALL_BUT_PDB:
        first, second = take(kind, assembly="1")
        assert (first.chain_id, second.chain_id) == ("A", "A-2")
        assert np.allclose(second.coords - first.coords, [50, 0, 0], atol=1e-3)
        with pytest.raises(StructureError, match="assembly 7"):
            take(kind, assembly="7")


def test_option_numbering(made, take):
    for number in (90, 95):
        made.residue("GLY", number, chain="H", label_chain="C", insertion="B")
    for kind in ALL_BUT_PDB:
        (chain,) = take(kind, numbering="label")
        assert chain.chain_id == "C"
        assert chain.residue_ids == ("1", "2")
    with pytest.raises(StructureError, match="label_seq_id"):
        take("PDB", numbering="label")


def test_option_altloc(made, take):
    for shift, (altloc, occupancy) in enumerate((("A", 0.2), ("B", 0.3), ("C", 0.5)), start=1):
        made.placed = 0
        made.residue("GLY", 1, altloc=altloc, occupancy=occupancy, shift=float(shift))
    for kind in EVERY_FORMAT:
        for altloc, height in (("occupancy", 3), ("first", 1), ("B", 2), ("Q", 3)):
            (chain,) = take(kind, altloc=altloc)
            assert chain.coords[0, :, 2].tolist() == [height] * 3


def test_option_unresolved(made, take):
    made.residue("GLY", 1)
    made.residue("ALA", 2, atoms=("N", "CA"))
    made.residue("SER", 3)
    for kind in EVERY_FORMAT:
        (chain,) = take(kind, unresolved="drop")
        assert chain.residue_ids == ("1", "3")
        assert chain.resolved.all()


def predicted(made):
    made.categories = "_entry.id AF-P69905-F1\n#\n"
    made.header.append("TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR X (P1)")
    for number, value in enumerate((95.0, 69.9, 70.0), start=1):
        made.residue("GLY", number, b_factor=value)


def test_option_min_plddt(made, take):
    predicted(made)
    for kind in EVERY_FORMAT:
        (chain,) = take(kind, min_plddt=70)
        assert chain.resolved.tolist() == [True, False, True]
        assert len(chain) == 3
    made.categories, made.header = "", []
    with pytest.raises(StructureError, match="not marked as a prediction"):
        take("mmCIF", min_plddt=70)


def test_option_plddt_mode(made, take):
    predicted(made)
    for kind in EVERY_FORMAT:
        (chain,) = take(kind, min_plddt=70, plddt_mode="drop")
        assert chain.residue_ids == ("1", "3")


def test_option_b_factors(made, take):
    made.residue("GLY", 1, b_factor=95.0)
    made.residue("GLY", 2, b_factor=50.0)
    for kind in EVERY_FORMAT:
        (chain,) = take(kind, b_factors="plddt", min_plddt=70)
        assert chain.confidence == "plddt"
        assert chain.resolved.tolist() == [True, False]


def test_option_sequence(made, take):
    made.header.append("SEQRES   1 A    4  MET GLY ALA SER")
    made.categories = (
        "loop_\n_entity_poly_seq.entity_id\n_entity_poly_seq.num\n_entity_poly_seq.mon_id\n"
        "1 1 MET\n1 2 GLY\n1 3 ALA\n1 4 SER\n#\n"
    )
    made.placed = 1
    made.residue("GLY", 2)
    made.residue("ALA", 3)
    for kind in ("PDB", "mmCIF", "BinaryCIF"):
        (chain,) = take(kind, sequence="full")
        assert chain.sequence == "MGAS"
        assert chain.resolved.tolist() == [False, True, True, False]
