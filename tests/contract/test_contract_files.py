"""Which model, which confidence, which format, and is all accounted for? One sentence each."""

import dataclasses
import gzip
import io
import re

import numpy as np
import pytest

from provq_protein.errors import StructureError

EVERY_FORMAT = ("PDB", "mmCIF", "mmCIF without entities", "BinaryCIF")


def two_models(made, first=1, second=2):
    made.model = first
    made.residue("GLY", 1)
    made.next_model()
    made.model = second
    made.residue("ALA", 1)


def test_first_model(made):
    two_models(made)
    assert [chain.sequence for chain in made.each()] == ["G"] * 4
    assert [chain.model for chain in made.each()] == [1] * 4


def test_model_by_place(made):
    two_models(made, 5, 3)
    for kind in EVERY_FORMAT:
        assert made.chain(kind).sequence == "G"
        second = made.chain(kind, model=2)
        assert (second.sequence, second.model) == ("A", 2)


@pytest.mark.parametrize("record", ["MODEL ", "ENDMDL"])
def test_models_by_endmdl(made, read_text, record):
    two_models(made)
    lines = [line for line in made.pdb().splitlines() if not line.startswith(record)]
    assert len(lines) < len(made.pdb().splitlines())
    for model, letter in ((1, "G"), (2, "A")):
        assert read_text("\n".join(lines), model=model)[0].sequence == letter


def test_absent_model(made):
    two_models(made)
    for kind in EVERY_FORMAT:
        with pytest.raises(StructureError, match="model 3 is not in the file; it has 2"):
            made.chains(kind, model=3)


def test_no_assembly(made, read_text):
    made.residue("GLY", 1)
    made.header += [
        "REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000       50.00000",
        "REMARK 350   BIOMT1   2  1.000000  0.000000  0.000000       90.00000",
        "CRYST1   50.000   50.000   50.000  90.00  90.00  90.00 P 21 21 21    8",
    ]
    made.categories = (
        "_pdbx_struct_assembly_gen.assembly_id 1\n_pdbx_struct_assembly_gen.oper_expression 1,2\n"
        "_pdbx_struct_assembly_gen.asym_id_list A\n#\n"
    )
    for chain in made.each():
        assert np.allclose(chain.coords[0], [one["xyz"] for one in made.atoms], atol=1e-3)


def test_first_data_block(made, read_text):
    made.residue("GLY", 1)
    first = made.cif()
    made.residue("ALA", 2)
    later = made.cif().replace("data_made", "data_later")
    assert read_text(first + later)[0].sequence == "G"
    assert read_text(later + first)[0].sequence == "GA"
    assert read_text("data_empty\n_cell.length_a 1\n#\n" + later)[0].sequence == "GA"


@pytest.mark.parametrize(
    ("categories", "header"),
    [
        ("_entry.id AF-P69905-F1\n", "TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR X (P1)"),
        ("_entry.id MA-BAK-0003\n", "TITLE     ALPHAFOLD V2.0 PREDICTION FOR HBA (P69905)"),
        ("_database_2.database_id AlphaFoldDB\n_database_2.database_code x\n", None),
        ("_database_2.database_id ModelArchive\n_database_2.database_code x\n", None),
        ("_ma_qa_metric.id 1\n_ma_qa_metric.name x\n_ma_qa_metric.type pLDDT\n", None),
    ],
)
def test_plddt_if_declared(made, categories, header):
    made.residue("GLY", 1)
    made.categories = categories + "#\n"
    made.header += [] if header is None else [header]
    for kind in EVERY_FORMAT if header else EVERY_FORMAT[1:]:
        assert made.chain(kind).confidence == "plddt", kind


def test_b_factor_otherwise(made):
    made.residue("GLY", 1, b_factor=93.4)
    made.categories = "_ma_qa_metric.id 1\n_ma_qa_metric.name QMEAN\n_ma_qa_metric.type other\n#\n"
    made.header.append("TITLE     COMPARISON WITH AN ALPHAFOLD PREDICTION")
    assert [chain.confidence for chain in made.each()] == ["b_factor"] * 4


def test_confidence_of_ca(made):
    made.residue("GLY", 1)
    made.residue("ALA", 2, atoms=("N", "C"))
    for one, value in zip(made.atoms, (1.0, 2.0, 3.0, 4.0, 5.0), strict=True):
        one["b_factor"] = value
    for chain in made.each():
        assert chain.b_factors[0] == 2
        assert np.isnan(chain.b_factors[1])


def test_confidence_masks_nothing(made, tokenizer, write_file):
    made.categories = "_entry.id AF-P69905-F1\n#\n"
    for number, value in enumerate((0.0, 12.5, 99.0, -1.0), start=1):
        made.residue("GLY", number, b_factor=value)
    (tokens,) = tokenizer.encode([write_file("low.cif", made.cif())])
    assert tokens.resolved.all()
    assert tokens.ids.min() >= 0


def odd_structure(made):
    """Add something of everything that all formats can express."""
    made.residue("MSE", -1, hetero=True, occupancy=0.3, altloc="A")
    made.placed -= 1
    made.residue("MSE", -1, hetero=True, occupancy=0.7, altloc="B", shift=0.4)
    made.residue("GLY", 0)
    for code in ("", "A"):
        made.residue("ALA", 52, insertion=code)
    made.residue("DAL", 91, hetero=True)
    made.residue("SER", 90, atoms=("N", "CA", "CB"))
    made.ter()
    made.residue("GLY", 1, chain="b")
    made.residue("TRP", 2, chain="b", b_factor=3.5)
    made.ter()
    made.free("CA", 301, atoms=("CA",))
    made.free("HOH", 401, atoms=("O",))


def test_formats_agree(made, table, tokenizer):
    odd_structure(made)
    expected = made.chains("PDB")
    ids = [one.ids.tolist() for one in tokenizer.encode(expected)]
    for kind in EVERY_FORMAT[1:]:
        chains = made.chains(kind)
        assert [table(chain) for chain in chains] == [table(chain) for chain in expected]
        assert [one.ids.tolist() for one in tokenizer.encode(chains)] == ids


def test_compression_changes_nothing(made, table, read_text):
    odd_structure(made)
    for kind in EVERY_FORMAT:
        packed = read_text(gzip.compress(made.content(kind)))
        assert [table(chain) for chain in packed] == [table(one) for one in made.chains(kind)]


@pytest.mark.parametrize("name", ["x.pdb", "x.cif", "x.bcif", "x.gz", "x.txt", "x"])
def test_content_decides_format(made, table, read_text, name):
    odd_structure(made)
    for kind in EVERY_FORMAT:
        found = read_text(made.content(kind), name)
        assert [table(chain) for chain in found] == [table(one) for one in made.chains(kind)]


def test_line_ends_change_nothing(made, table, read_text):
    odd_structure(made)
    for text in (made.pdb(), made.cif()):
        expected = [table(chain) for chain in read_text(text)]
        for changed in (text.replace("\n", "\r\n"), "\ufeff" + text):
            assert [table(chain) for chain in read_text(changed)] == expected


def biotite_layout(text):
    """Return the same mmCIF file with columns in another order, padded and quoted."""
    from biotite.structure.io.pdbx import CIFCategory, CIFFile

    file = CIFFile.read(io.StringIO(text))
    site = file.block["atom_site"]
    file.block["atom_site"] = CIFCategory(dict(reversed(list(site.items()))))
    return file.serialize()


def test_layout_changes_nothing(made, table, read_text):
    odd_structure(made)
    text = made.cif()
    expected = [table(chain) for chain in read_text(text)]
    quoted = re.sub(r"(?m)^(ATOM|HETATM) (\S+) (\S+)", r"\1   \2 '\3'", text)
    for changed in (biotite_layout(text), quoted):
        assert changed != text
        assert [table(chain) for chain in read_text(changed)] == expected


def test_ids_follow_from(samples, tokenizer):
    from provq_protein.structure import read_backbones

    chain, other = (read_backbones(samples / name)[0] for name in ("1a8o.cif", "3jqh.cif"))
    count = len(chain)
    renamed = dataclasses.replace(
        chain,
        sequence="X" * count,
        residue_names=("UNK",) * count,
        insertion_codes=("Q",) * count,
        label_numbers=chain.label_numbers + 7,
        b_factors=np.zeros(count, dtype=np.float32),
        confidence="plddt",
        chain_id="Z",
        label_chain_id="Y",
        source="elsewhere",
    )
    alone = tokenizer.encode([chain])[0].ids.tolist()
    beside = tokenizer.encode([other, renamed])[1].ids.tolist()
    assert beside == alone


def test_nothing_vanishes(made, tokenizer, write_file):
    odd_structure(made)
    made.residue("GLY", 1, atoms=("CA",), chain="T")
    files = [write_file(f"{kind}.x", made.content(kind)) for kind in EVERY_FORMAT]
    files += [write_file("empty.pdb", ""), write_file("noise.cif", "nothing"), "absent.cif"]
    problems = []
    found = tokenizer.encode(files, on_problem=problems.append)
    accounted = {(one.source, one.chain_id) for one in found}
    accounted |= {(one.file, one.chain_id) for one in problems}
    assert len(found) + len(problems) == len(accounted)
    expected = {(str(path), chain) for path in files[:4] for chain in "AbT"}
    assert accounted == expected | {(str(path), None) for path in files[4:]}
