"""Does a chain come out the same from every file format, and as the entry says."""

import gzip
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from provq_protein.structure import Backbone, read_backbones

RCSB_ENTRIES = ("1aki", "1gya", "1igy", "1k6p", "1l2y", "1o1z", "3wip", "5ugo")


def table(chain: Backbone) -> tuple:
    """Return what must not depend on the file format."""
    return (
        chain.chain_id,
        chain.residue_ids,
        chain.residue_names,
        chain.sequence,
        chain.coords.tobytes(),
        chain.resolved.tobytes(),
        chain.b_factors.tobytes(),
        chain.model,
    )


@pytest.mark.parametrize("entry", RCSB_ENTRIES)
def test_three_formats_give_the_same_chains(shared_data: Path, entry: str) -> None:
    folder = shared_data / "structures" / "rcsb"
    cif, bcif, pdb = (
        [table(chain) for chain in read_backbones(folder / f"{entry}.{suffix}")]
        for suffix in ("cif", "bcif", "pdb")
    )
    assert cif == bcif
    assert cif == pdb


def test_known_entries_have_their_known_chains(shared_data: Path) -> None:
    folder = shared_data / "structures" / "rcsb"
    assert [chain.chain_id for chain in read_backbones(folder / "3wip.cif")] == list("ABCDEFGHIJ")
    (trp_cage,) = read_backbones(folder / "1l2y.pdb")
    assert trp_cage.sequence == "NLYIQWLKDGGPSSGRPPPS"
    assert [chain.chain_id for chain in read_backbones(folder / "5ugo.bcif")] == ["A"]


def test_every_docking_file_keeps_every_residue(shared_data: Path) -> None:
    for path in sorted((shared_data / "structures" / "bm5").glob("*.pdb")):
        lines = path.read_text().splitlines()
        expected = {line[21:27] for line in lines if line.startswith("ATOM")}
        chains = read_backbones(path)
        found = [chain.chain_id.rjust(1) + ident for chain in chains for ident in chain.residue_ids]
        assert sorted(found) == sorted("".join(place.split()) for place in expected), path.name


def test_samples_hold_the_residues_that_their_readme_promises(
    sample_structures: list[Path],
) -> None:
    sizes = {
        path.name: {chain.chain_id: len(chain) for chain in read_backbones(path)}
        for path in sample_structures
    }
    assert sizes == {
        "1a8o.cif": {"A": 70},
        "1a8o.pdb": {"A": 70},
        "1as5.cif.gz": {"A": 24},
        "1gbt.bcif.gz": {"A": 223},
        "1lcd.pdb.gz": {"A": 51},
        "2xhe.pdb.gz": {"A": 567, "B": 220},
        "3jqh.cif": {"A": 23},
        "4zhl.bcif": {"U": 247, "P": 10},
    }


def test_samples_agree_with_an_independent_reader(sample_structures: list[Path]) -> None:
    gemmi = pytest.importorskip("gemmi")
    for path in sample_structures:
        if ".bcif" in path.name:
            continue  # gemmi reads no BinaryCIF
        model = gemmi.read_structure(str(path))[0]
        for chain in read_backbones(path):
            residues = model[chain.chain_id]
            for index, ident in enumerate(chain.residue_ids):
                residue = residues[ident][chain.residue_names[index]]
                for slot, name in enumerate(("N", "CA", "C")):
                    if name not in residue:
                        assert np.isnan(chain.coords[index, slot]).all()
                        continue
                    places = [atom.pos.tolist() for atom in residue if atom.name == name]
                    distance = np.abs(np.array(places) - chain.coords[index, slot]).max(axis=1)
                    assert distance.min() < 1e-3, (path.name, ident, name)


def test_author_and_label_numbers_are_both_kept(repo_root: Path) -> None:
    (chain,) = read_backbones(repo_root / "data" / "structures" / "1gbt.bcif.gz")
    assert chain.residue_ids[:2] == ("16", "17")
    assert chain.label_numbers.tolist() == list(range(1, 224))
    assert {"184A", "188A", "221A"} <= set(chain.residue_ids)
    (chain,) = read_backbones(repo_root / "data" / "structures" / "1a8o.pdb")
    assert chain.author_numbers[[0, -1]].tolist() == [151, 220]
    assert chain.label_numbers[[0, -1]].tolist() == [1, 70]


def test_models_are_counted_from_one(repo_root: Path) -> None:
    for name in ("1as5.cif.gz", "1lcd.pdb.gz"):
        path = repo_root / "data" / "structures" / name
        (first,), (default,) = read_backbones(path, model=1), read_backbones(path)
        (third,) = read_backbones(path, model=3)
        assert np.array_equal(first.coords, default.coords)
        assert third.residue_ids == first.residue_ids
        assert third.model == 3
        assert not np.allclose(third.coords, first.coords, atol=0.01)


@pytest.mark.parametrize("lie", ["x.pdb", "x.cif", "x.bcif", "x.gz", "x", "x.ent.gz", "x.txt"])
@pytest.mark.parametrize("name", ["1a8o.cif", "1a8o.pdb", "1gbt.bcif.gz", "4zhl.bcif"])
def test_a_wrong_suffix_changes_nothing(
    repo_root: Path, tmp_path: Path, name: str, lie: str
) -> None:
    original = repo_root / "data" / "structures" / name
    shutil.copy(original, tmp_path / lie)
    expected = [table(chain) for chain in read_backbones(original)]
    assert [table(chain) for chain in read_backbones(tmp_path / lie)] == expected


def test_gzip_changes_nothing(repo_root: Path, tmp_path: Path) -> None:
    for name in ("1a8o.cif", "1a8o.pdb", "4zhl.bcif"):
        original = repo_root / "data" / "structures" / name
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress(original.read_bytes()))
        assert [table(chain) for chain in read_backbones(packed)] == [
            table(chain) for chain in read_backbones(original)
        ]


def test_windows_line_ends_and_byte_order_marks_are_read(repo_root: Path, tmp_path: Path) -> None:
    for name in ("1a8o.cif", "1a8o.pdb"):
        original = repo_root / "data" / "structures" / name
        copy = tmp_path / name
        copy.write_bytes(original.read_bytes().replace(b"\n", b"\r\n"))
        assert table(read_backbones(copy)[0]) == table(read_backbones(original)[0])
    copy.with_suffix(".cif").write_bytes(
        b"\xef\xbb\xbf# a comment\n" + original.with_suffix(".cif").read_bytes()
    )
    assert len(read_backbones(copy.with_suffix(".cif"))[0]) == 70


def test_the_source_is_the_path_as_given(repo_root: Path) -> None:
    path = repo_root / "data" / "structures" / "1a8o.cif"
    assert read_backbones(path)[0].source == str(path)


def test_reading_warns_of_nothing(sample_structures: list[Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in sample_structures:
            read_backbones(path)


def test_chains_can_be_chosen(repo_root: Path) -> None:
    path = repo_root / "data" / "structures" / "4zhl.bcif"
    assert [chain.chain_id for chain in read_backbones(path, chains=["P"])] == ["P"]
    assert [chain.chain_id for chain in read_backbones(path, chains=["P", "U"])] == ["U", "P"]


def test_confidence_of_predicted_models(repo_root: Path, tmp_path: Path) -> None:
    cif = (repo_root / "data" / "structures" / "3jqh.cif").read_text()
    pdb = (repo_root / "data" / "structures" / "1a8o.pdb").read_text()
    metric = "_ma_qa_metric.id 1\n_ma_qa_metric.name pLDDT\n_ma_qa_metric.type 'pLDDT'\n#\n"
    other = "_ma_qa_metric.id 1\n_ma_qa_metric.name QMEANDisCo\n_ma_qa_metric.type other\n#\n"
    title = "TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR HEMOGLOBIN (P69905)\n"
    files = {
        "metric.cif": (cif + metric, "plddt"),
        "other.cif": (cif + other, "b_factor"),
        "entry.cif": (cif.replace("_entry.id   3JQH", "_entry.id   AF-P69905-F1"), "plddt"),
        "experiment.cif": (cif, "b_factor"),
        "predicted.pdb": (title + pdb, "plddt"),
        "experiment.pdb": (pdb, "b_factor"),
    }
    for name, (content, confidence) in files.items():
        path = tmp_path / name
        path.write_text(content)
        assert read_backbones(path)[0].confidence == confidence, name
