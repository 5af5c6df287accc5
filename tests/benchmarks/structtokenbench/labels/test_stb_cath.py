"""Do splits by CATH hold out what their names say?"""

import numpy as np
import pytest

from provq_protein.errors import ConfigError
from structtokenbench.errors import SourceError
from structtokenbench.items import Item
from structtokenbench.sources.assembly import ALL, TaskAssembly
from structtokenbench.sources.cath import CathShares, read_domains, split_by_cath
from structtokenbench.tasks import TASKS

LIST = """# CATH List File (CLF) Format 2.0
1oaiA00     1    10     8    10     1     1     1     1     1    59 1.000
1go5A00     1    10     8    10     1     1     1     1     2    69 999.000
3frhA01     1    10     8    10     2     1     1     1     1    58 1.200
3frhA02     3    40    50   150     2     1     1     1     1    58 1.200
"""


@pytest.fixture
def data_of(chain_of):
    def build(names, task="Con"):
        assembly = TaskAssembly(TASKS[task], (ALL,))
        for name in names:
            labels, mask = np.float32([0, 1]), np.ones(2, dtype=bool)
            item = Item(id=name, chain=name, labels=labels, residues=mask)
            assembly.add(ALL, item, chain_of("AC"))
        assembly.reject(ALL, "9zzz_A", "no file")
        return assembly.finish("a test")

    return build


def test_the_domain_list(tmp_path, data_of):
    path = tmp_path / "cath-domain-list.txt"
    path.write_text(LIST)
    domains = read_domains(path)
    assert domains["1oai_A"] == ("1.10.8.10",)
    assert domains["3frh_A"] == ("1.10.8.10", "3.40.50.150")
    data = split_by_cath(data_of(["1oai_A", "3frh_A", "2abc_A"]), domains)
    train = data.coverage["train"]
    assert (train.listed, train.used) == (4, 1)
    assert [one.reason for one in train.problems] == [
        "all: no file",
        "has domains of several superfamilies: 1.10.8.10, 3.40.50.150",
        "is not in CATH",
    ]
    path.write_text("1oai A 1 10\n")
    with pytest.raises(SourceError, match=r"cath-domain-list\.txt:1: not a line"):
        read_domains(path)


@pytest.mark.parametrize("compat", [False, True])
def test_held_out_superfamilies_are_not_in_training(data_of, compat):
    domains = {
        f"c{fold}{sup}{at}_A": (f"{fold % 2 + 1}.10.{fold // 2}.{sup}",)
        for fold in range(6)
        for sup in range(5)
        for at in range(10)
    }
    data = split_by_cath(data_of(domains), domains, compat=compat)
    paths = {split: {domains[item.id][0] for item in items} for split, items in data.splits.items()}
    folds = {path.rsplit(".", 1)[0] for path in paths["train"]}
    assert all(paths.values())
    assert not paths["fold_test"] & paths["train"]
    assert {path.rsplit(".", 1)[0] for path in paths["fold_test"]} <= folds
    assert paths["superfamily_test"] <= paths["train"]
    sizes = {split: len(items) for split, items in data.splits.items()}
    assert sum(sizes.values()) == 300
    if not compat:
        # 2 of 5 superfamilies, 20 % of the others' items, a fifth of each to validation.
        assert sizes == {
            "train": 144, "validation": 31, "fold_test": 96, "superfamily_test": 29,
        }  # fmt: skip
        again = split_by_cath(data_of(domains), domains)
        assert again.content_hash == data.content_hash
        assert split_by_cath(data_of(domains), domains, seed=1).content_hash != data.content_hash


def test_what_cannot_be_split_by_cath(data_of):
    with pytest.raises(ConfigError, match="share fold must be at least 0 and below 1, got 1"):
        CathShares(fold=1.0)
    with pytest.raises(ConfigError, match="task BindShake is not split by CATH"):
        split_by_cath(data_of(["1abc_A"], "BindShake"), {})
