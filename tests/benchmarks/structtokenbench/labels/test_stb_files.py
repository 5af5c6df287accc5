"""Do the benchmark's own files join with structures, and is what does not join reported?"""

import gzip
import json
import shutil

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.writing import write_backbone
from structtokenbench.errors import SourceError
from structtokenbench.sources import benchmark_files, jsonl, tables
from structtokenbench.sources.archive import ChainArchive
from structtokenbench.sources.chains import StructureFolder, split_identifier

CON = "InterProFunctionDataset_conservedsite_label_{}.jsonl"
HOMO = "TapeRemoteHomologyDataset_fold_label_{}.jsonl"


def write_lines(path, *records):
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def line(name, labels, numbers=None, **more):
    record = {"pdb_path": f"./interpro/x/{name}.pdb", "conservedsite_label": labels, **more}
    return record if numbers is None else {**record, "residue_index": numbers}


def reasons(data, split):
    return {one.id: one.reason for one in data.coverage[split].problems}


@pytest.fixture
def structures(tmp_path, chain_of):
    """Give a folder with one file of each format, some gzipped, some in a subfolder."""
    folder = tmp_path / "structures"
    (folder / "ab").mkdir(parents=True)
    write_backbone(folder / "1ABC.cif", chain_of("ACDE", numbers=[4, 5, 6, 7]))
    write_backbone(folder / "ab" / "pdb2abc.pdb", chain_of("FGHIK", chain_id="B"))
    with (folder / "ab" / "pdb2abc.pdb").open("rb") as source:
        (folder / "ab" / "pdb2abc.ent.gz").write_bytes(gzip.compress(source.read()))
    (folder / "ab" / "pdb2abc.pdb").unlink()
    write_backbone(folder / "3abc_C.pdb", chain_of("LMN", chain_id="A"))
    (folder / "4abc.cif").write_text("data_4ABC\nloop_\n_atom_site.id\n")
    (folder / "README.txt").write_text("nothing")
    return folder


def test_structures_are_found_by_id_in_any_case_and_format(structures):
    folder = StructureFolder(structures)
    assert folder.find("1abc", "A")[0].author_numbers.tolist() == [4, 5, 6, 7]
    assert folder.find("2ABC", "B")[0].sequence == "FGHIK"
    # A file that is named for the chain holds that chain, whatever its id inside.
    assert folder.find("3abc", "C")[0].sequence == "LMN"
    with pytest.raises(StructureError, match=r"1ABC\.cif has no polypeptide chain a; it has A"):
        folder.find("1abc", "a")
    with pytest.raises(StructureError, match="no structure file of 9abc"):
        folder.find("9abc", "A")
    with pytest.raises(SourceError, match="no such folder"):
        StructureFolder(structures / "absent")


def test_real_files_of_all_formats_are_the_same_chain(shared_data, tmp_path):
    for suffix in ("cif", "bcif", "pdb"):
        (tmp_path / suffix).mkdir()
        shutil.copy(shared_data / "structures" / "rcsb" / f"1aki.{suffix}", tmp_path / suffix)
    found = [StructureFolder(tmp_path / one).find("1AKI", "A")[0] for one in ("cif", "bcif", "pdb")]
    assert {chain.sequence for chain in found} == {found[0].sequence}


def test_json_lines_join_by_number_and_report_the_rest(structures, tmp_path):
    write_lines(
        tmp_path / CON.format("train"),
        line("1abc_A", [0, 1, None, 1], [4, 5, 6, 7]),
        line("1abc_A", [1, 0], [7, 4]),
        line("2abc_B", [0, 0, 1, 1, 0]),
        line("2abc_B", [0, 0, 1], [1, 2]),
        line("2abc_B", [0, 0, 1]),
        line("2abc_B", [0, 0, 1], [11, 12, 13]),
        line("2abc_B", [0, 0, 3], [1, 2, 3]),
        line("2abc_B", [0, 0, "1"], [1, 2, 3]),
        line("2abc_B", [0, 0, 1], [1, 2, 3.5]),
        line("2abc_A", [0, 0, 1], [1, 2, 3]),
        line("5abc_A", [0, 0, 1], [1, 2, 3]),
        line("4abc_A", [0, 0, 1], [1, 2, 3]),
        line("nothing", [0, 0, 1], [1, 2, 3]),
        line("1abc_A", [0, 0, 1], [4, 5, 6], sequence="ACD"),
        "{not JSON",
        "[1, 2]",
        "",
    )
    data = jsonl.load_task(tmp_path, structures, "Con")
    assert [item.id for item in data.splits["train"]] == ["1abc_A", "1abc_A", "2abc_B"]
    first, second, third = (item.labels for item in data.splits["train"])
    np.testing.assert_array_equal(first, np.float32([0, 1, np.nan, 1]))
    np.testing.assert_array_equal(second, np.float32([0, np.nan, np.nan, 1]))
    assert third.tolist() == [0, 0, 1, 1, 0]
    coverage = data.coverage["train"]
    assert (coverage.listed, coverage.used, len(coverage.problems)) == (16, 3, 13)
    found = [one.reason for one in coverage.problems]
    expected = [
        "2abc_B: 3 labels with 2 residue numbers",
        "2abc_B: 3 labels for a chain of 5 residues",
        "2abc_B: 0 of 3 labelled residues (0.0 %)",
        "label 3 is none of the classes",
        "labels must be numbers, got '1'",
        "residue_index must hold whole numbers",
        "has no polypeptide chain A; it has B",
        "no structure file of 5abc",
        "4abc.cif",
        "'nothing' is not of the form '1abc_A'",
        "expected the key conservedsite_label",
        "is no JSON object",
        "is no JSON object",
    ]
    assert all(part in reason for part, reason in zip(expected, found, strict=True))
    assert coverage.problems[-1].id == CON.format("train") + ":16"
    assert data.coverage["fold_test"].listed == 0


def test_each_chain_is_looked_up_once(tmp_path, chains_of, chain_of):
    write_lines(
        tmp_path / CON.format("train"),
        *[line("1abc_A", [0, 1, 0], [1, 2, 3])] * 3,
        *[line("2abc_A", [0, 1, 0], [1, 2, 3])] * 3,
    )
    source = chains_of({("1abc", "A"): chain_of("ACD")})
    data = jsonl.load_task(tmp_path, source, "Con")
    assert data.coverage["train"].used == 3
    assert source.asked == [("1abc", "A"), ("2abc", "A")]


def test_insertion_codes_of_json_lines_are_used(tmp_path, chains_of, chain_of):
    chain = chain_of("ACD", numbers=[5, 5, 6], codes=["", "A", ""])
    record = line("1abc_A", [1, 0], [5, 6], insertion_code=["A", ""])
    write_lines(tmp_path / CON.format("train"), record)
    data = jsonl.load_task(tmp_path, chains_of({("1abc", "A"): chain}), "Con")
    np.testing.assert_array_equal(data.splits["train"][0].labels, np.float32([np.nan, 1, 0]))


def test_homology_lines_have_one_label_and_a_range(tmp_path, chains_of, chain_of):
    chain = chain_of("ACDEF", numbers=[-2, -1, 3, 4, 5])
    numbers = chain.author_numbers.tolist()

    def record(**more):
        return {"pdb_path": "./homo/1abc_A.pdb", "fold_label": 7, **more}

    write_lines(
        tmp_path / HOMO.format("test_fold_holdout"),
        record(residue_index=numbers, residue_range=["-2--1", "5-9"]),
        record(residue_index=numbers),
        record(residue_range=["20-30"]),
        record(residue_range=["x"]),
        record(residue_index=[101, 102, 103]),
    )
    data = jsonl.load_task(tmp_path, chains_of({("1abc", "A"): chain}), "Homo")
    first, second = data.splits["test_fold_holdout"]
    assert first.residues.tolist() == [True, True, False, False, True]
    assert (first.labels.tolist(), second.residues.all()) == ([7], True)
    found = [one.reason for one in data.coverage["test_fold_holdout"].problems]
    assert found[0] == "no residue of the chain belongs to it"
    assert "residue range 'x'" in found[1]
    assert "0 of 3" in found[2]


def test_atlas_lines_count_from_one(tmp_path, chains_of, chain_of):
    chain = chain_of("ACDEF", numbers=[22, 23, 24, 25, 26])
    record = {
        "pdb_path": "./atlas/2i5v_O.pdb",
        "neq_score": [0.1, 0.1, 0.525, 0.515, 0.437],
        "residue_index": [1, 2, 3, 4, 5],
    }
    write_lines(tmp_path / "AtlasDataset_neq_score_train.jsonl", record)
    data = jsonl.load_task(tmp_path, chains_of({("2i5v", "O"): chain}), "FlexNEQ")
    assert data.splits["train"][0].labels.tolist() == pytest.approx(record["neq_score"])


def test_processed_tables(tmp_path, chains_of, chain_of):
    (tmp_path / "repeat-motif-prediction.csv").write_text(
        ",split,idx,pdb_id,chain_id,label_type,residue_label\n"
        '0,train,0,2kjy,A,Repeat,"[0, 1, 1]"\n'
        '1,valid,0,4Q3G,NA,Repeat,"[0, 1, 1]"\n'
        '2,fold,0,2kjy,A,Repeat,"[0, 1]"\n'
        '3,fold,1,2kjy,A,Repeat,"[0, 1"\n'
        '4,fold,2,2kjy,B,Repeat,"[0, 1, 1]"\n'
        '5,other,2,2kjy,A,Repeat,"[0, 1, 1]"\n'
    )
    chains = chains_of({("2kjy", "A"): chain_of("ACD"), ("4q3g", "NA"): chain_of("ACDX")})
    data = tables.load_task(tmp_path, chains, "Rep")
    assert data.splits["train"][0].labels.tolist() == [0, 1, 1]
    # The modified residue, which the benchmark's reader leaves out, has no label.
    np.testing.assert_array_equal(
        data.splits["validation"][0].labels, np.float32([0, 1, 1, np.nan])
    )
    assert data.splits["validation"][0].id == "4q3g_NA"
    assert [one.reason[:30] for one in data.coverage["fold_test"].problems] == [
        "2kjy_A: 2 labels for a chain o",
        "labels are no JSON: Expecting ",
        "no chain 2kjy_B",
    ]
    assert reasons(data, "train") == {
        "repeat-motif-prediction.csv:7": "task Rep: no split 'other'; it has train, validation, "
        "fold_test, superfamily_test"
    }
    with pytest.raises(SourceError, match="task Con has no processed table"):
        tables.load_task(tmp_path, chains, "Con")


def test_tables_fill_splits_without_json_lines(tmp_path, chains_of, chain_of):
    (tmp_path / "splits").mkdir()
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "remote-homology-detection.csv").write_text(
        "split,idx,pdb_id,chain_id,fold_label\n"
        "train,0,1V4W,B,0\nvalid,0,1V4W,B,0\nfamily,0,1B0B,A,3\n"
    )
    name = HOMO.format("validation")
    record = {"pdb_path": "./homo/1b0b_A.pdb", "fold_label": 1, "residue_index": [1, 2, 3]}
    write_lines(tmp_path / "splits" / name, record)
    chains = chains_of({("1v4w", "B"): chain_of("ACD"), ("1b0b", "A"): chain_of("ACD")})
    data = benchmark_files.load_task(tmp_path, chains, "Homo")
    found = {split: [(i.id, i.labels[0]) for i in items] for split, items in data.splits.items()}
    assert found == {
        "train": [("1v4w_B", 0)],
        "validation": [("1b0b_A", 1)],
        "test_fold_holdout": [],
        "test_superfamily_holdout": [],
        "test_family_holdout": [("1b0b_A", 3)],
    }
    assert set(data.chains) == {"1v4w_B", "1b0b_A"}
    with pytest.raises(SourceError, match="neither InterProFunctionDataset_conservedsite_label_"):
        benchmark_files.load_task(tmp_path, chains, "Con")


def test_labels_run_on_chains_of_an_archive(tmp_path, archive_folder):
    chains = [("1abc", "A", "ACDE", [1, 2, 3, 4], 7)]
    write_lines(tmp_path / CON.format("train"), line("1abc_A", [0, 1, 1, 0], [1, 2, 3, 4]))
    data = jsonl.load_task(tmp_path, ChainArchive(archive_folder(chains)), "Con")
    assert data.coverage["train"].used == 1
    assert data.clusters == {"1abc_A": "c40:7"}


def test_identifiers():
    assert split_identifier("pdb_00001abc_A") == ("pdb_00001abc", "A")
    for wrong in ("1abc", "1abc_", "_A", "1abc_A B"):
        with pytest.raises(SourceError, match="is not of the form"):
            split_identifier(wrong)
