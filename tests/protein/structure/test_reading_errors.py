"""What does a user learn about a file that cannot be read."""

import gzip
from pathlib import Path

import pytest

from provq_protein.errors import StructureError
from provq_protein.structure import read_backbones


def reason(path: Path | str, **options: object) -> str:
    """Return the message of the refusal, which must name the file on one line."""
    with pytest.raises(StructureError) as refusal:
        read_backbones(path, **options)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def samples(repo_root: Path) -> Path:
    """Return the folder of sample structures."""
    return repo_root / "data" / "structures"


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in reason(tmp_path / "absent.cif")
    assert "no such file" in reason(str(tmp_path / "absent.cif"))


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in reason(tmp_path)


def test_a_path_that_cannot_be_one(write_file) -> None:
    assert "cannot be opened" in reason("null\0byte.cif")
    assert "cannot be opened" in reason(write_file("data_x") / "inside_a_file.cif")


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"")])
def test_an_empty_file(write_file, content: bytes) -> None:
    assert "empty" in reason(write_file(content, "empty.cif"))


def test_truncated_gzip(write_file, samples: Path) -> None:
    content = (samples / "1gbt.bcif.gz").read_bytes()
    for size in (2, 12, len(content) // 2, len(content) - 4):
        assert "gzip" in reason(write_file(content[:size], "cut.bcif.gz"))


def test_damaged_gzip(write_file, samples: Path) -> None:
    content = bytearray((samples / "1gbt.bcif.gz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    assert "gzip data is damaged" in reason(write_file(bytes(content), "bad.bcif.gz"))
    garbage = gzip.compress(b"data")[:10] + b"\xff" * 100
    assert "gzip data is damaged" in reason(write_file(garbage, "garbage.cif.gz"))


def test_other_compressions_are_named(write_file) -> None:
    assert "zip" in reason(write_file(b"PK\x03\x04rest", "x.cif"))
    assert "xz" in reason(write_file(b"\xfd7zXZ\x00rest", "x.cif"))


@pytest.mark.parametrize(
    "content",
    [
        b"Lorem ipsum\n",
        b">seq\nMKVL\n",
        b"<html><body>404 Not Found</body></html>",
        b"\x00\x01\x02\xff" * 100,
        b"\x85garbage that starts like msgpack",
        b"{}",
        "ATOMS are small\n".encode("utf-16"),
        gzip.compress(b"\xde\xad\xbe\xef" * 50),
        gzip.compress(gzip.compress(b"data_x")),
    ],
)
@pytest.mark.parametrize("name", ["x.cif", "x.bcif", "x.pdb.gz", "x"])
def test_content_that_is_no_structure(write_file, content: bytes, name: str) -> None:
    message = reason(write_file(content, name))
    assert "no structure file" in message
    assert "expected mmCIF, BinaryCIF or PDB" in message
    assert ("although its name says" in message) == (name != "x")


def test_cif_without_atoms(write_file) -> None:
    message = reason(write_file("data_x\n_cell.length_a 10\n_entry.id x\n", "x.cif"))
    assert "without an atom_site category (it has cell, entry)" in message


def test_pdb_without_atoms(write_file) -> None:
    assert "without ATOM or HETATM records" in reason(write_file("HEADER    LYASE\nEND\n"))


@pytest.mark.parametrize("name", ["1a8o.cif", "4zhl.bcif"])
def test_a_file_cut_at_any_place_is_refused_or_read(write_file, samples: Path, name: str) -> None:
    content = (samples / name).read_bytes()
    refused = 0
    for share in range(1, 20):
        path = write_file(content[: len(content) * share // 20], name)
        try:
            read_backbones(path)
        except StructureError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
    assert refused >= 10


def test_damaged_binarycif_raises_only_structure_errors(write_file, samples: Path) -> None:
    content = (samples / "4zhl.bcif").read_bytes()
    refused = 0
    for place in range(100, len(content), len(content) // 40):
        path = write_file(content[:place] + b"\xc1\xff\x00" + content[place + 3 :], "bad.bcif")
        try:
            read_backbones(path)
        except StructureError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
    assert refused > 0


def test_mmcif_without_a_needed_column(write_file, samples: Path) -> None:
    text = (samples / "1a8o.cif").read_text()
    broken = text.replace("_atom_site.Cartn_y", "_atom_site.other")
    assert "Cartn_y" in reason(write_file(broken, "x.cif"))


def test_numbers_that_are_none(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    line = pdb.lines[1]
    pdb.lines[1] = f"{line[:30]}   x.xxx{line[38:]}"
    assert "line 2: the coordinates are 'x.xxx" in reason(write_file(pdb.text()))
    pdb.lines[1] = f"{line[:22]} *** {line[27:]}"
    assert "line 2: the residue number is '***'" in reason(write_file(pdb.text()))


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("9999", 9999),
        ("A000", 10_000),
        ("ZZZZ", 1_223_055),
        ("a000", 1_223_056),
        ("zzzz", 2_436_111),
    ],
)
def test_numbers_beyond_four_digits(pdb, write_file, word: str, number: int) -> None:
    pdb.residue("GLY", 1)
    pdb.lines = [f"{line[:22]}{word}{line[26:]}" for line in pdb.lines]
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.author_numbers.tolist() == [number]


@pytest.mark.parametrize("word", ["A0", "Aa00", "1A00", "A-00"])
def test_words_that_are_no_numbers(pdb, write_file, word: str) -> None:
    pdb.residue("GLY", 1)
    pdb.lines[1] = f"{pdb.lines[1][:22]}{word:>4}{pdb.lines[1][26:]}"
    assert f"line 2: the residue number is '{word}'" in reason(write_file(pdb.text()))


def test_an_atom_record_that_stops_early(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    text = "\n".join(pdb.lines)
    assert "line 3: the atom record stops before" in reason(write_file(text[:-40]))


def test_other_things_in_the_b_factor_column_are_no_obstacle(pdb, write_file) -> None:
    pdb.residue("GLY", 1)
    pdb.lines = [line[:54] + " none  none" for line in pdb.lines]
    (chain,) = read_backbones(write_file(pdb.text()))
    assert chain.resolved.all()
    assert chain.b_factors[0] != chain.b_factors[0]


def test_a_file_without_protein_says_what_it_holds(pdb, write_file) -> None:
    for chain in "AB":
        pdb.residue("DA", 1, atoms=("P", "C1'"), chain=chain)
        pdb.residue("DG", 2, atoms=("P", "C1'"), chain=chain)
    pdb.atom("CA", "CA", 5, hetero=True)
    for number in range(6, 9):
        pdb.atom("O", "HOH", number, hetero=True)
    message = reason(write_file(pdb.text()))
    assert "no polypeptide chain" in message
    assert message.endswith("model 1 holds 2 nucleic-acid chains, 3 HOH and 1 CA")


def test_a_free_amino_acid_alone_is_no_chain(pdb, write_file) -> None:
    pdb.residue("GLU", 1, hetero=True)
    assert "model 1 holds 1 GLU" in reason(write_file(pdb.text()))


@pytest.mark.parametrize("name", ["1as5.cif.gz", "1lcd.pdb.gz", "1gbt.bcif.gz"])
@pytest.mark.parametrize("model", [0, -1, 15])
def test_a_model_that_is_absent(samples: Path, name: str, model: int) -> None:
    count = {"1as5.cif.gz": 14, "1lcd.pdb.gz": 3, "1gbt.bcif.gz": 1}[name]
    message = reason(samples / name, model=model)
    assert f"model {model} is not in the file; it has {count}" in message


def test_a_chain_that_is_absent(samples: Path) -> None:
    message = reason(samples / "4zhl.bcif", chains=["U", "Q"])
    assert "chain Q is not a polypeptide chain of the file; it has U, P" in message
    assert "chain B is not" in reason(samples / "1lcd.pdb.gz", chains=["B"])
