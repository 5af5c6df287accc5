"""Do label arrays and a chain archive become the right items, and bad ones problems?"""

import numpy as np
import pytest

from provq_protein.errors import ConfigError, StructureError
from structtokenbench import leakage
from structtokenbench.errors import SourceError
from structtokenbench.sources import arrays, scope
from structtokenbench.sources.archive import ChainArchive
from structtokenbench.tasks import TASKS

CHAINS = [
    ("1abc", "A", "ACDE", [1, 2, 3, 4], 7),
    ("2abc", "B", "FGHIK", [10, 11, 12, 13, 14], 7),
    ("", "A", "LMN", [1, 2, 3], 8),
    ("", "A", "PQR", [1, 2, 3], 9),
]
# Chains and 40 % clusters that the data folder's README states, exact and with moved labels.
STATED = {
    "BindInt": ((108, 49), (142, 58)),
    "BindBio": ((124, 119), (942, 533)),
    "BindShake": ((113, 68), (113, 68)),
    "CatInt": ((161, 53), (209, 68)),
    "CatBio": ((64, 63), (314, 170)),
    "Con": ((352, 195), (488, 231)),
    "Rep": ((50, 41), (50, 41)),
    "Ept": ((29, 29), (29, 29)),
    "FlexRMSF": ((131, 131), (394, 262)),
    "FlexBFactor": ((131, 131), (394, 262)),
    "FlexNEQ": ((131, 131), (394, 262)),
    "Homo": ((620, 475), (620, 475)),
}


def test_the_archive_builds_chains(archive_folder):
    coords = np.full((15, 4, 3), 150, dtype=np.int16)
    coords[1, 1] = -32768
    archive = ChainArchive(archive_folder(CHAINS, coords=coords))
    chain = archive.backbone(0)
    assert (chain.sequence, chain.residue_ids) == ("ACDE", ("1", "2", "3", "4"))
    assert chain.coords[0, 0, 0] == 1.5
    assert np.isnan(chain.coords[1, 1]).all()
    assert chain.resolved.tolist() == [True, False, True, True]
    assert [archive.name(record) for record in range(4)] == [
        "1abc_A", "2abc_B", "record_A_2", "record_A_3",
    ]  # fmt: skip
    assert archive.cluster_of(1) == "c40:7"
    assert archive.find("2ABC", "B")[0].sequence == "FGHIK"
    with pytest.raises(StructureError, match="1abc_B: no chain is called so"):
        archive.find("1abc", "B")
    with pytest.raises(StructureError, match="no record 4"):
        archive.backbone(4)


def test_a_damaged_archive_is_refused(archive_folder, tmp_path):
    with pytest.raises(StructureError, match="cannot be read as an archive"):
        ChainArchive(tmp_path / "absent.npz")
    folder = archive_folder(CHAINS, resnum=np.zeros(3, dtype=np.int16))
    with pytest.raises(StructureError, match="resnum has 3 rows, expected 15"):
        ChainArchive(folder).backbone(0)
    with pytest.raises(ConfigError, match="cluster must be one of c30, c40, c95"):
        ChainArchive(folder, cluster="c50")


def test_labels_become_items_of_their_split(archive_folder):
    labels = [
        ("Con", "train", 0, [0, 1, np.nan, 0]),
        ("Con", "valid", 1, [0, 0, 1, 1, 0]),
        ("Con", "validation", 1, [0, 0, 1, 1, 0]),
        ("Con", "fold", 2, [1, 0, 0]),
        ("Rep", "train", 3, [1, 1, 1]),
    ]
    data = arrays.load_task(archive_folder(CHAINS, labels), "con")
    assert list(data.splits) == list(TASKS["Con"].splits)
    assert {split: [item.id for item in items] for split, items in data.splits.items()} == {
        "train": ["1abc_A"],
        "validation": ["2abc_B"],
        "fold_test": ["record_A_2"],
        "superfamily_test": [],
    }
    item = data.splits["train"][0]
    np.testing.assert_array_equal(item.labels, np.float32([0, 1, np.nan, 0]))
    assert item.residues.all()
    assert data.clusters == {"1abc_A": "c40:7", "2abc_B": "c40:7", "record_A_2": "c40:8"}
    assert data.coverage["train"].listed == data.coverage["train"].used == 1


def test_what_cannot_be_used_is_a_problem(archive_folder):
    labels = [
        ("Con", "train", 0, [0, 1, 1]),
        ("Con", "train", 9, [0, 1, 1]),
        ("Con", "train", 0, [0, 2, 1, 0]),
        ("Con", "train", 0, [np.nan] * 4),
        ("Con", "train", 1, [0, 0, 1, 0, 0]),
    ]
    coverage = arrays.load_task(archive_folder(CHAINS, labels), "Con").coverage["train"]
    assert (coverage.listed, coverage.used) == (5, 1)
    assert [(one.id, one.reason.split(" in ")[0]) for one in coverage.problems] == [
        ("1abc_A", "3 labels for a chain of 4 residues"),
        ("record_9", "no record 9"),
        ("1abc_A", "label 2 is none of the classes 0 to 1"),
        ("1abc_A", "no residue has a label"),
    ]
    with pytest.raises(ConfigError, match="no split 'training'"):
        arrays.load_task(archive_folder(CHAINS, [("Con", "training", 0, [0] * 4)]), "Con")
    with pytest.raises(SourceError, match=r"labels\.npz"):
        arrays.load_task(archive_folder(CHAINS) / "absent", "Con", archive=object())


def test_moved_labels_are_for_chains_without_their_own(archive_folder):
    labels = [
        ("Con", "train", 0, [0, 1, 0, 0]),
        ("Con_transfer", "train", 0, [1, 1, 1, 1]),
        ("Con_uniprot", "fold_test", 1, [0, 0, 1, 0, 0]),
    ]
    folder = archive_folder(CHAINS, labels)
    assert sum(one.used for one in arrays.load_task(folder, "Con").coverage.values()) == 1
    union = arrays.load_task(folder, "Con", union=True)
    assert [item.id for item in union.splits["train"]] == ["1abc_A"]
    assert union.splits["train"][0].labels.sum() == 1
    assert [item.id for item in union.splits["fold_test"]] == ["2abc_B"]


def test_atlas_labels_on_shifted_residues_are_problems(archive_folder):
    """Numbers 10 to 14 against labels 1 to 5 of a longer chain, and a chain that starts at 0."""
    chains = [
        ("1abc", "A", "A" * 40, range(3, 43), 1),
        ("2abc", "A", "A" * 40, range(40), 2),
        ("3abc", "A", "A" * 40, range(3, 43), 3),
        ("4abc", "A", "A" * 40, range(1, 41), 4),
    ]
    values = [*[0.5] * 38, np.nan, np.nan]
    labels = [
        ("FlexRMSF", "train", 0, values),
        ("FlexRMSF", "train", 1, [np.nan, *[0.5] * 39]),
        ("FlexRMSF", "train", 2, [0.5] * 40),
        ("FlexRMSF", "train", 3, values),
        ("FlexRMSF_transfer", "train", 1, [0.5] * 40),
    ]
    data = arrays.load_task(archive_folder(chains, labels), "FlexRMSF", union=True)
    assert [item.id for item in data.splits["train"]] == ["3abc_A", "4abc_A"]
    problems = data.coverage["train"].problems
    assert [one.id for one in problems] == ["1abc_A", "2abc_A"]
    assert "run from 3 to 42: they lie on the wrong residues" in problems[0].reason


def test_homology_items_are_parts_of_chains(archive_folder):
    homology = [
        (0, "train", 3, 0, 4),
        (1, "test_family_holdout", 3, 1, 4),
        (2, "validation", 5, 0, 3),
        (3, "test_fold_holdout", 3, 0, 9),
    ]
    data = arrays.load_task(archive_folder(CHAINS, homology=homology), "Homo")
    domain = data.splits["test_family_holdout"][0]
    assert (domain.id, domain.chain, domain.labels.tolist()) == ("2abc_B/2-4", "2abc_B", [3])
    assert domain.residues.tolist() == [False, True, True, True, False]
    assert data.splits["train"][0].id == "1abc_A"
    reasons = {split: [p.reason for p in one.problems] for split, one in data.coverage.items()}
    assert reasons["validation"] == ["fold 5 has no training chain among the labels"]
    assert reasons["test_fold_holdout"] == ["residues 0 to 9 are outside a chain of 3"]


def test_the_hash_follows_labels_and_coordinates(archive_folder):
    labels = [("Con", "train", 0, [0, 1, 0, 0])]
    first = arrays.load_task(archive_folder(CHAINS, labels), "Con").content_hash
    assert arrays.load_task(archive_folder(CHAINS, labels), "Con").content_hash == first
    other = archive_folder(CHAINS, [("Con", "train", 0, [0, 1, 1, 0])])
    assert arrays.load_task(other, "Con").content_hash != first
    moved = archive_folder(CHAINS, labels, coords=np.ones((15, 4, 3), dtype=np.int16))
    assert arrays.load_task(moved, "Con").content_hash != first
    elsewhere = archive_folder(CHAINS, [("Con", "valid", 0, [0, 1, 0, 0])])
    assert arrays.load_task(elsewhere, "Con").content_hash != first


def test_scope_holdouts_are_what_they_are_called(archive_folder):
    """Two folds with 8 superfamilies of 8 families of 4 clusters each."""
    chains, domains = [], []
    for fold in ("a.1", "b.2"):
        for family in (f"{fold}.{i}.{j}" for i in range(8) for j in range(8)):
            for _ in range(4):
                domains.append((len(chains), 0, 4, family))
                chains.append((f"{len(chains):04d}", "A", "ACDE", [1, 2, 3, 4], len(chains)))
    folder = archive_folder(chains, scope=domains)
    found = scope.load_scope(folder, seed=1)
    assert found.folds == ("a.1", "b.2")
    assert (found.task.name, found.task.num_outputs) == ("HomoSCOPe", 2)
    classes = {
        split: {domains[int(item.chain[:4])][3] for item in items}
        for split, items in found.data.splits.items()
    }
    families = classes["train"]
    superfamilies = {name.rsplit(".", 1)[0] for name in families}
    assert all(classes.values())
    assert classes["test_family_holdout"] <= families
    assert not classes["test_superfamily_holdout"] & families
    assert {n.rsplit(".", 1)[0] for n in classes["test_superfamily_holdout"]} <= superfamilies
    assert not {n.rsplit(".", 1)[0] for n in classes["test_fold_holdout"]} & superfamilies
    assert not leakage.find_leaks(found.data)
    assert sum(len(items) for items in found.data.splits.values()) == len(domains)
    again = scope.load_scope(folder, seed=1).data.content_hash
    assert again == found.data.content_hash != scope.load_scope(folder, seed=2).data.content_hash
    with pytest.raises(SourceError, match="0 folds have 1000 training domains"):
        scope.load_scope(folder, minimum=1000)


def test_scope_clusters_are_in_one_kind_of_split(archive_folder):
    chains = [(f"{at:04d}", "A", "ACDE", [1, 2, 3, 4], at // 2) for at in range(200)]
    domains = [(at, 0, 4, f"a.{at % 2}.{at % 5}.{at % 7}") for at in range(200)]
    data = scope.load_scope(archive_folder(chains, scope=domains), minimum=5).data
    tests = set(data.splits) - {"train", "validation"}
    for leak in leakage.find_leaks(data):
        assert {leak.split, *leak.others} <= tests


@pytest.mark.slow
def test_real_labels_have_the_stated_counts(shared_data):
    archive = ChainArchive(shared_data)
    for name, stated in STATED.items():
        for union, (chains, clusters) in zip((False, True), stated, strict=True):
            data = arrays.load_task(shared_data, name, union=union, archive=archive)
            problems = [one.id for split in data.coverage.values() for one in split.problems]
            listed = set(data.chains) | {one.split("/")[0] for one in problems}
            found = {archive.cluster_of(archive.record_named(key)) for key in listed}
            assert (len(listed), len(found)) == (chains, clusters), (name, union)
            # Shifted labels of ATLAS, and two homology items of a fold without training chains.
            assert len(problems) == {"Homo": 2}.get(name, 7 if name.startswith("Flex") else 0)
