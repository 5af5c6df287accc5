"""Are relatives, duplicates and known errors found, and is nothing lost in silence?"""

import numpy as np
import pytest

from provq_protein.errors import ConfigError
from structtokenbench import leakage
from structtokenbench.items import Item
from structtokenbench.sources.assembly import TaskAssembly
from structtokenbench.tasks import TASKS


@pytest.fixture
def data_of(chain_of):
    def build(placed, clusters, task="Con"):
        """Give a task from (split, chain, labels); a cluster per chain where there is one."""
        assembly = TaskAssembly(TASKS[task], TASKS[task].splits)
        for split, key, labels in placed:
            chain = chain_of("A" * len(labels))
            item = Item(
                id=key,
                chain=key,
                labels=np.array(labels, dtype=np.float32),
                residues=np.ones(len(labels), dtype=bool),
            )
            assembly.add(split, item, chain, cluster=clusters.get(key))
        assembly.reject("validation", "9zzz_A", "no file")
        return assembly.finish("a test")

    return build


PLACED = [
    ("train", "a", [0, 1]),
    ("train", "b", [0, 1]),
    ("train", "c", [0, 1]),
    ("validation", "d", [0, 1]),
    ("fold_test", "e", [0, 1]),
    ("superfamily_test", "f", [0, 1]),
    ("superfamily_test", "c", [1, 1]),
]
CLUSTERS = {"a": "1", "b": "2", "d": "2", "e": "2", "f": "3"}


def names(data):
    return {split: [item.id for item in items] for split, items in data.splits.items()}


def test_leaks_are_items_with_relatives_or_themselves_elsewhere(data_of):
    found = leakage.find_leaks(data_of(PLACED, CLUSTERS))
    assert [(one.split, one.id, one.cluster, one.others) for one in found] == [
        ("train", "b", "2", ("validation", "fold_test")),
        ("train", "c", "chain:c", ("superfamily_test",)),
        ("validation", "d", "2", ("train", "fold_test")),
        ("fold_test", "e", "2", ("train", "validation")),
        ("superfamily_test", "c", "chain:c", ("train",)),
    ]


def test_dropping_leaks_keeps_the_tests_and_accounts_for_the_rest(data_of):
    before = data_of(PLACED, CLUSTERS)
    data = leakage.drop_leaks(before)
    assert names(data) == {
        "train": ["a"],
        "validation": [],
        "fold_test": ["e"],
        "superfamily_test": ["f", "c"],
    }
    assert not leakage.find_leaks(data)
    train, held = data.coverage["train"], data.coverage["validation"]
    assert (train.listed, train.used) == (3, 1)
    assert (held.listed, held.used, held.problems[0].id) == (2, 0, "9zzz_A")
    assert [one.reason for one in train.problems] == [
        "left out: its cluster 2 is also in fold_test",
        "left out: its cluster chain:c is also in superfamily_test",
    ]
    assert set(data.chains) == {"a", "e", "f", "c"}
    assert data.content_hash != before.content_hash
    kept = leakage.drop_leaks(before, validation=False)
    assert names(kept)["validation"] == ["d"]
    assert names(kept)["train"] == ["a"]


def test_duplicates_are_merged_within_a_split(data_of):
    nan = np.nan
    placed = [
        ("train", "a", [0, 1, nan, nan, 0]),
        ("train", "b", [0, 0, 0, 0, 1]),
        ("train", "a", [1, 0, 0, nan, 0]),
        ("fold_test", "a", [1, 1, 1, 1, 1]),
    ]
    data = leakage.merge_duplicates(data_of(placed, {}))
    assert names(data)["train"] == ["a", "b"]
    np.testing.assert_array_equal(data.splits["train"][0].labels, np.float32([1, 1, 0, nan, 0]))
    assert data.splits["fold_test"][0].labels.all()
    assert data.coverage["train"].used == 3
    with pytest.raises(ConfigError, match="only binary labels can be merged"):
        leakage.merge_duplicates(data_of([("train", "a", [0.5, 1])], {}, task="FlexNEQ"))


def test_local_splits_share_no_cluster_and_lose_no_item(data_of):
    rng = np.random.default_rng(0)
    chains = [f"c{at}" for at in range(120)]
    clusters = {key: str(rng.integers(40)) for key in chains}
    splits = ("validation", "superfamily_test")
    placed = [(splits[at % 2], key, [0, 1, at % 2]) for at, key in enumerate(chains)]
    placed.append(("superfamily_test", "c0", [0, 1, 0]))
    data = leakage.local_splits(data_of(placed, clusters), seed=3)
    assert tuple(data.splits) == leakage.LOCAL_SPLITS
    assert not leakage.find_leaks(data)
    dealt = [item.id for items in data.splits.values() for item in items]
    assert sorted(dealt) == sorted(chains)
    sizes = [len(items) for items in data.splits.values()]
    assert np.allclose(sizes, [72, 24, 24], atol=4)
    problems = data.coverage["local_train"].problems
    assert [(one.id, one.reason) for one in problems] == [("9zzz_A", "validation: no file")]
    assert data.coverage["local_train"].listed == sizes[0] + 1
    again = leakage.local_splits(data_of(placed, clusters), seed=3)
    assert again.content_hash == data.content_hash
    other = leakage.local_splits(data_of(placed, clusters), seed=4)
    assert names(other) != names(data)
    task = leakage.local_task(TASKS["Con"])
    assert task.splits == leakage.LOCAL_SPLITS
    with pytest.raises(ConfigError, match="2 clusters, too few"):
        leakage.local_splits(data_of(placed, dict.fromkeys(chains[:-1], "x")))
    with pytest.raises(ConfigError, match="sum to 1"):
        leakage.local_splits(data, shares=(0.5, 0.2, 0.2))


def test_exclusions_come_with_reasons(data_of, tmp_path):
    assert all(one.task in TASKS for one in leakage.read_exclusions())
    path = tmp_path / "exclusions.toml"
    path.write_text(
        '[[exclusion]]\ntask = "Con"\nid = "a"\nreason = "wrong chain"\n'
        '[[exclusion]]\ntask = "Rep"\nid = "b"\nreason = "wrong chain"\n'
    )
    data = leakage.exclude(data_of(PLACED, CLUSTERS), leakage.read_exclusions(path))
    assert names(data)["train"] == ["b", "c"]
    assert data.coverage["train"].problems[0].reason == "excluded: wrong chain"
    path.write_text('[[exclusion]]\ntask = "Con"\nid = "a"\nreason = " "\n')
    with pytest.raises(ConfigError, match="exclusion 1: needs the name of a task and a reason"):
        leakage.read_exclusions(path)
    path.write_text('[[exclusion]]\ntask = "Con"\nid = "a"\nwhy = "x"\n')
    with pytest.raises(ConfigError, match=r"unknown keys \['why'\], missing keys \['reason'\]"):
        leakage.read_exclusions(path)
