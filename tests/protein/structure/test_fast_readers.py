"""Do the quick readers give what biotite gives, or leave the file to it."""

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure import contents, read_backbones
from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import backbones_of_bytes

HEAD = """data_made
#
_entry.id   MADE
#
loop_
_entity_poly.entity_id
_entity_poly.type
1 'polypeptide(L)'
2 polydeoxyribonucleotide
#
"""
COLUMNS = (
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
    "label_asym_id", "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y",
    "Cartn_z", "occupancy", "B_iso_or_equiv", "auth_seq_id", "auth_comp_id", "auth_asym_id",
    "auth_atom_id", "pdbx_PDB_model_num",
)  # fmt: skip


def make_rows(residues: int = 4, model: int = 1) -> list[list[str]]:
    """Return the cells of a peptide, in the order of `COLUMNS`."""
    rows = []
    for number in range(1, residues + 1):
        component = ("ALA", "GLY", "MSE")[number % 3]
        record = "HETATM" if component == "MSE" else "ATOM"
        for name, y in (("N", 1.36), ("CA", 0.0), ("C", -1.5), ("O", 2.25)):
            x = f"{3.8 * number - 8.123:.3f}"
            rows.append(
                [record, str(len(rows) + 1), name[0], name, ".", component, "A", "1", str(number),
                 "?", x, f"{y:.3f}", "-0.000", "1.00", "20.50", str(number - 2), component, "A",
                 name, str(model)]
            )  # fmt: skip
    return rows


def cif(rows: list[list[str]], *, columns=COLUMNS, padded: bool = True, head: str = HEAD) -> str:
    """Return a file; padded rows have one length, as those of the PDB."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)] if padded else []
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " "
        if padded
        else " ".join(row)
        for row in rows
    ]
    names = [f"_atom_site.{name}" for name in columns]
    return head + "\n".join(["loop_", *names, *lines, "#", ""])


def changed(rows: list[list[str]], **cells: str) -> list[list[str]]:
    """Return rows with one value in the columns named."""
    places = {COLUMNS.index(name): value for name, value in cells.items()}
    return [[places.get(i, cell) for i, cell in enumerate(row)] for row in rows]


def assert_equal_tables(left: AtomTable, right: AtomTable) -> None:
    """Compare all arrays, bit by bit; segments only have to tell the same atoms apart."""
    for key, value in vars(left).items():
        other = getattr(right, key)
        if key == "segment":
            value, other = (np.unique(one, return_inverse=True)[1] for one in (value, other))
        if not isinstance(value, np.ndarray):
            assert value == other, key
        elif value.dtype.kind == "f":
            assert value.dtype == other.dtype, key
            assert value.tobytes() == other.tobytes(), key
        else:
            assert value.dtype.kind == other.dtype.kind, key
            assert np.array_equal(value, other), key


def as_tuples(chains: list[Backbone]) -> list[tuple]:
    """Return all that the chains hold, in comparable form."""
    return [
        tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in vars(chain).values())
        for chain in chains
    ]


def both_ways(content: bytes | str, kind: str = "mmCIF", model: int = 1) -> tuple[bool, bool]:
    """Return whether the quick and the general reader take a file, whose tables must agree."""
    content = content.encode("latin-1") if isinstance(content, str) else content
    tables = []
    for read in (contents._quick_table, contents._general_table):
        try:
            tables.append(read(content, kind, model, "x"))
        except Exception:  # noqa: BLE001 - any refusal is one
            tables.append(None)
    quick, general = tables
    if quick is not None:
        assert general is not None, "only the quick reader takes the file"
        assert_equal_tables(general, quick)
    return quick is not None, general is not None


@pytest.fixture
def no_biotite(monkeypatch) -> None:
    """Make the general reader fail, so that a file is read by the quick ones or not at all."""

    def refuse(*_arguments, **_options):
        msg = "the general reader was asked"
        raise AssertionError(msg)

    monkeypatch.setattr(contents, "_general_table", refuse)


def unpacked(path: Path) -> tuple[bytes, str]:
    """Return the content of a file, and its format."""
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    return content, "BinaryCIF" if ".bcif" in path.name else "mmCIF"


def test_ordinary_files_never_reach_biotite(sample_structures: list[Path], no_biotite) -> None:
    for path in sample_structures:
        assert read_backbones(path)


def test_samples_have_equal_tables(sample_structures: list[Path]) -> None:
    for path in sample_structures:
        if ".pdb" not in path.name:
            assert both_ways(*unpacked(path)) == (True, True), path.name


@pytest.mark.parametrize("suffix", ["cif", "bcif"])
def test_real_entries_have_equal_tables(shared_data: Path, suffix: str) -> None:
    paths = sorted((shared_data / "structures").glob(f"**/*.{suffix}"))
    assert paths
    for path in paths:
        assert both_ways(*unpacked(path)) == (True, True), path.name


def test_real_entries_never_reach_biotite(shared_data: Path, no_biotite) -> None:
    for path in sorted((shared_data / "structures" / "rcsb").glob("*cif")):
        assert read_backbones(path)


def test_every_model_has_an_equal_table(repo_root: Path) -> None:
    content, kind = unpacked(repo_root / "data" / "structures" / "1as5.cif.gz")
    for model in (1, 2, 14):
        assert both_ways(content, kind, model) == (True, True)
    assert both_ways(content, kind, 15) == (False, False)


ROWS = make_rows()
QUICK = {
    "padded": cif(ROWS),
    "ragged": cif(ROWS, padded=False),
    "one blank more": cif(ROWS).replace("ATOM ", "ATOM  "),
    "windows line ends": cif(ROWS).replace("\n", "\r\n"),
    "byte order mark": "\u00ef\u00bb\u00bf" + cif(ROWS),
    "no line end": cif(ROWS).removesuffix("#\n").removesuffix("\n"),
    "blank line after": cif(ROWS).removesuffix("#\n") + "\nloop_\n_x.y\n1\n",
    "category after": cif(ROWS).removesuffix("#\n") + "_x.y 1\n",
    "comment before": "# made\n" + cif(ROWS),
    "altlocs": cif(ROWS[:4] + changed(ROWS[4:8], label_alt_id="A", occupancy="0.4")
                   + changed(ROWS[4:8], label_alt_id="B", occupancy="0.60") + ROWS[8:]),
    "insertions": cif(changed(ROWS[:8], pdbx_PDB_ins_code="A", auth_seq_id="52") + ROWS[8:]),
    "negative": cif(changed(ROWS, auth_seq_id="-12")),
    "absent numbers": cif(changed(ROWS[:4], occupancy="?", B_iso_or_equiv=".", Cartn_x="?")
                          + changed(ROWS[4:], label_seq_id=".")),
    "absent author numbers": cif(changed(ROWS[:6], auth_seq_id="?", auth_comp_id=".") + ROWS[6:]),
    "no decimals": cif(changed(ROWS[:3], Cartn_x="12", Cartn_y="-5.", Cartn_z=".5", occupancy="1")
                       + ROWS[3:]),
    "all without dot": cif(changed(ROWS, Cartn_x="-1234567")),
    "many decimals": cif(changed(ROWS[:5], Cartn_x="1.23456789012") + ROWS[5:]),
    "quoted names": cif([*ROWS, *changed(ROWS[:2], label_atom_id='"O5\'"', auth_atom_id='"N\'"')]),
    "quoted plain": cif(changed(ROWS, label_atom_id="'CA'", label_alt_id="'?'")),
    "bare quote": cif([*ROWS, *changed(ROWS[:1], label_atom_id="O5'")]),
    "nothing in quotes": cif(changed(ROWS, label_alt_id="''")),
    "other chains": cif(ROWS + changed(ROWS, label_asym_id="BB", auth_asym_id="x")),
    "other entity": cif(ROWS + changed(ROWS, label_asym_id="B", label_entity_id="2")),
    "ligand": cif(ROWS + changed(ROWS[:3], label_asym_id="B", label_entity_id="3",
                                 label_seq_id=".", label_comp_id="NAG")),
    "two models": cif(ROWS + make_rows(3, model=2)),
    "models numbered 5 and 2": cif(make_rows(2, model=5) + make_rows(3, model=2)),
    "models mixed": cif(make_rows(2) + make_rows(3, model=2) + make_rows(2)),
    "other order": cif([row[::-1] for row in ROWS], columns=COLUMNS[::-1]),
    "no label columns": cif([row[:5] + row[9:] for row in ROWS], columns=COLUMNS[:5] + COLUMNS[9:]),
    "no author columns": cif([row[:15] for row in ROWS], columns=COLUMNS[:15]),
    "few columns": cif([row[3:4] + row[5:7] + row[8:13] for row in ROWS],
                       columns=COLUMNS[3:4] + COLUMNS[5:7] + COLUMNS[8:13]),
    "no entities": cif(ROWS, head="data_x\n"),
    "entities by chain": cif(changed(ROWS, label_entity_id="?"),
                             head=HEAD + "_struct_asym.id A\n_struct_asym.entity_id 1\n#\n"),
    "text field": cif(ROWS, head=HEAD + "_struct.title\n;several\nlines of 'text'\n;\n#\n"),
    "entity in a text field": cif(ROWS, head="data_x\n_entity_poly.entity_id 1\n"
                                  "_entity_poly.type\n;polypeptide(L)\n;\n"),
    "plddt": cif(ROWS, head=HEAD + "loop_\n_ma_qa_metric.id\n_ma_qa_metric.name\n1 pLDDT\n#\n"),
    "database": cif(ROWS, head=HEAD + '_database_2.database_id "AlphaFoldDB"\n'),
    "plddt between dots": cif(ROWS, head=HEAD + "_ma_qa_metric.name . \n_ma_qa_metric.type ?\n"),
}  # fmt: skip
LEFT_TO_BIOTITE = {
    "quoted blank": cif(changed(ROWS, label_atom_id="'C A'")),
    "two blocks": cif(ROWS) + cif(ROWS).replace("data_made", "data_other"),
    "second block without atoms": cif(ROWS) + "data_more\n_x.y 1\n",
    "comment in the loop": cif(ROWS).replace("\nHETATM", "\n# a comment\nHETATM"),
    "blank line in the loop": cif(ROWS, padded=False).replace("\nHETATM", "\n\nHETATM"),
    "text field in the loop": cif(ROWS).replace("\nHETATM", "\n;HETATM\n;\n", 1),
    "row over two lines": cif(ROWS, padded=False).replace(" GLY ", "\n  GLY "),
    "indented": cif(ROWS).replace("\nATOM", "\n ATOM"),
    "tabs": cif(ROWS).replace("ATOM ", "ATOM\t"),
    "exponent": cif(changed(ROWS, Cartn_x="1.5e1")),
    "plus": cif(changed(ROWS, Cartn_x="+1.5")),
    "infinity": cif(changed(ROWS[:1], Cartn_x="inf") + ROWS[1:]),
    "long numbers": cif(changed(ROWS, Cartn_x="1.2345678901234567890")),
    "not ascii": cif(ROWS, head=HEAD + "_struct.title 'Caf\u00e9'\n#\n"),
    "other line ends": cif(ROWS, head=HEAD + "_struct.title 'a\x0bb'\n"),
    "not a loop": HEAD + "\n".join(f"_atom_site.{n} {c}" for n, c in
                                   zip(COLUMNS, ROWS[0], strict=True)) + "\n#\n",
    "category twice": cif(ROWS, head=HEAD + "_x.y 1\n_entity_poly.entity_id 7\n"
                          "_entity_poly.type x\n#\n"),
    "sites twice": cif(ROWS) + cif(ROWS, head=""),
    "column twice": cif(ROWS, columns=(*COLUMNS[:-1], "id")),
    "number in quotes": cif(changed(ROWS, auth_seq_id="'5'")),
    "chain number decides elsewhere": cif(changed(ROWS, label_seq_id=".") + make_rows(2, model=2)),
}  # fmt: skip
REFUSED = {
    "lower-case data": cif(ROWS).replace("data_made", "DATA_made"),
    "upper-case loop": cif(ROWS).replace("loop_", "LOOP_"),
    "missing cell": cif(ROWS, padded=False).replace(" GLY", "", 1),
    "quote over two cells": cif(changed(ROWS, label_atom_id="'C", label_alt_id="A'")),
    "no number": cif(changed(ROWS[:1], Cartn_y="x") + ROWS[1:]),
    "no number in a later model": cif(ROWS + changed(make_rows(2, 2), Cartn_x="-")),
    "no integer": cif(changed(ROWS, auth_seq_id="1.5")),
    "great integer": cif(changed(ROWS, auth_seq_id="99999999999")),
    "no rows": HEAD + "\n".join(["loop_", *(f"_atom_site.{name}" for name in COLUMNS), "#", ""]),
    "no coordinates": cif([row[:10] for row in ROWS], columns=COLUMNS[:10]),
    "loop without a line": cif(ROWS, head=HEAD + "loop_\n\n_x.y\n1\n"),
    "loop at the end": cif(ROWS) + "loop_\n",
    "name without item": cif(ROWS, head=HEAD + "_entryx\n"),
    "atoms before the block": cif(ROWS, head="") + "data_x\n_entry.id X\n",
}  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_oddities_that_the_quick_reader_takes(name: str) -> None:
    assert both_ways(QUICK[name]) == (True, True)


@pytest.mark.parametrize("name", LEFT_TO_BIOTITE)
def test_oddities_that_are_left_to_biotite(name: str) -> None:
    assert both_ways(LEFT_TO_BIOTITE[name]) == (False, True)


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_both_refuse(name: str) -> None:
    assert both_ways(REFUSED[name]) == (False, False)
    with pytest.raises(StructureError):
        backbones_of_bytes(REFUSED[name].encode(), source="x.cif")


def test_lower_case_tags_are_as_biotite_has_them() -> None:
    text = cif(ROWS)
    for name in COLUMNS:
        both_ways(text.replace(f"_atom_site.{name}\n", f"_atom_site.{name.lower()}\n"))
        both_ways(text.replace(f"_atom_site.{name}\n", f"_ATOM_SITE.{name}\n"))


def test_later_models_are_read_alike() -> None:
    for name in ("two models", "models numbered 5 and 2", "models mixed"):
        assert both_ways(QUICK[name], model=2) == (True, True)
    assert both_ways(LEFT_TO_BIOTITE["chain number decides elsewhere"], model=2) == (True, True)


def test_decimals_are_rounded_as_python_rounds_them() -> None:
    generator = random.Random(5)
    rows = make_rows(200)
    for row in rows:
        for name in ("Cartn_x", "Cartn_y", "Cartn_z", "B_iso_or_equiv", "occupancy"):
            value = generator.uniform(-1000, 1000)
            row[COLUMNS.index(name)] = f"{value:.{generator.randint(0, 9)}f}"
    table = contents._quick_table(cif(rows).encode(), "mmCIF", 1, "x")
    expected = [[np.float32(float(row[10 + axis])) for axis in range(3)] for row in rows]
    assert table.coords.tobytes() == np.array(expected, dtype=np.float32).tobytes()


def mutations(content: bytes, count: int, seed: int) -> list[bytes]:
    """Return damaged copies: bytes changed, removed or put in, lines moved, the end cut off."""
    generator = random.Random(seed)
    pieces = [b"'", b'"', b"#", b";", b"_", b".", b"?", b"\n", b"\n\n", b"\r", b"\t", b"-", b" ",
              b"loop_\n", b"\ndata_", b"\n_entry.", b"\n;", b"\x00", b"\xff", b"\x0c", b"9",
              b"e"]  # fmt: skip
    made = []
    for _ in range(count):
        damaged = bytearray(content)
        for _ in range(generator.choice((1, 1, 3))):
            place = generator.randrange(len(damaged))
            stop = place + generator.choice((0, 1, 1, 1, 7, 60))
            damaged[place:stop] = generator.choice(
                [*pieces, b"", bytes([generator.randrange(256)])]
            )
        made.append(bytes(damaged[: generator.randrange(len(damaged))])
                    if generator.random() < 0.1 else bytes(damaged))  # fmt: skip
    return made


def test_damaged_text_is_read_alike_or_refused() -> None:
    content = QUICK["two models"].replace("\n#\n", "\n#\n_struct.title\n;two\nlines\n;\n#\n", 1)
    taken = [both_ways(one) for one in mutations(content.encode(), 600, seed=1)]
    assert 30 < sum(quick for quick, _ in taken) < sum(general for _, general in taken) < 1000


def test_damaged_real_text_is_read_alike_or_refused(repo_root: Path) -> None:
    content = (repo_root / "data" / "structures" / "3jqh.cif").read_bytes()
    begin = content.index(b"\nloop_\n_atom_site.") if b"\nloop_\n_atom_site." in content else 0
    taken = [both_ways(content[:9] + one) for one in mutations(content[begin:], 40, seed=2)]
    taken += [both_ways(one) for one in mutations(content, 40, seed=3)]
    assert any(quick for quick, _ in taken)


def test_damaged_binary_is_read_alike_or_refused(repo_root: Path) -> None:
    content, kind = unpacked(repo_root / "data" / "structures" / "1gbt.bcif.gz")
    expected = as_tuples(backbones_of_bytes(content, source="x"))
    for damaged in mutations(content, 150, seed=4):
        quick, general = None, None
        try:
            quick = contents._quick_table(damaged, kind, 1, "x")
        except Exception:  # noqa: BLE001 - any refusal is one
            continue
        try:
            general = contents._general_table(damaged, kind, 1, "x")
        except Exception:  # noqa: BLE001 - any refusal is one
            # Damage in what is not read: all that is read is as it was.
            assert as_tuples(backbones_of_bytes(damaged, source="x")) == expected
        else:
            assert_equal_tables(general, quick)
