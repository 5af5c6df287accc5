"""A run: every measurement once, every problem counted, and a command line that says so."""

import json
import shutil
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from structtokenbench.chain_sets import ChainSet, chains_from_folder
from structtokenbench.cli import main
from structtokenbench.conformations import Pair, PairSet
from structtokenbench.datasets import DataFolder, DataOptions, Dataset
from structtokenbench.items import ChainTokens, Coverage, Item, TaskData
from structtokenbench.probe import ProbeSettings
from structtokenbench.results import ResultsFile
from structtokenbench.runner import Bench, run_all
from structtokenbench.tasks import TASKS
from structtokenbench.token_cache import TokenCache

CODES = 6
SETTINGS = ProbeSettings(
    learning_rates=(1e-2,), seeds=(0,), steps=250, evaluations=5, hidden=64, resamples=20
)


class ByLetter:
    """Gives each residue the code of its letter, and can be told to misbehave."""

    name = "by_letter"
    fingerprint = "0123456789abcdef"

    def __init__(self, *, refuses=(), too_many=()):
        self.codebook = np.eye(CODES, dtype=np.float32)
        self.refuses, self.too_many = refuses, too_many
        self.calls = 0

    def tokenize(self, chain):
        self.calls += 1
        if chain.chain_id in self.refuses:
            msg = f"chain {chain.chain_id}: too strange"
            raise StructureError(msg)
        ids = np.array(["ACDEFG".index(letter) for letter in chain.sequence])
        extra = 1 if chain.chain_id in self.too_many else 0
        ids = np.pad(ids, (0, extra))
        return ChainTokens(ids=ids, features=None, mask=np.ones(len(ids), bool))


def _chain(name, make_coords, seed):
    rng = np.random.default_rng(seed)
    length = int(rng.integers(20, 40))
    sequence = "".join(rng.choice(list("ACDEFG"), length))
    chain = Backbone.from_arrays(make_coords(length, seed), sequence=sequence)
    return replace(chain, chain_id=name, label_chain_id=name)


@pytest.fixture
def data(make_coords):
    """Return a task whose residues are positive where the letter is A or C."""
    splits, chains = {}, {}
    for split, count in (("train", 12), ("validation", 4), ("fold_test", 5)):
        items = []
        for number in range(count):
            name = f"{split[:2]}{number}"
            chain = chains[name] = _chain(name, make_coords, len(chains))
            labels = np.array([letter in "AC" for letter in chain.sequence], np.float32)
            items.append(
                Item(id=name, chain=name, labels=labels, residues=np.ones(len(labels), bool))
            )
        splits[split] = tuple(items)
    return TaskData(
        task="BindInt",
        splits=MappingProxyType(splits),
        chains=MappingProxyType(chains),
        coverage={split: Coverage(listed=9, used=len(items)) for split, items in splits.items()},
        origin="made up",
        content_hash="feedfeedfeedfeed",
    )


def _dataset(data):
    return Dataset(
        name="BindInt", task=TASKS["BindInt"], splits="published", data=data, labels="exact"
    )


def _bench(folder):
    return Bench(
        cache=TokenCache(folder / "tokens"),
        results=ResultsFile(folder / "results.jsonl"),
        settings=SETTINGS,
        watch=lambda label: lambda done, total: None,
    )


def test_labels_that_follow_from_the_codes_are_read_from_them(tmp_path, data):
    (result,) = run_all(_bench(tmp_path), [ByLetter()], datasets=[_dataset(data)])
    assert result["probe"]["splits"]["fold_test"]["estimates"]["pooled"]["value"] > 0.95
    assert result["tokenizer"] == {
        "name": "by_letter", "fingerprint": "0123456789abcdef", "codes": CODES, "dim": CODES
    }  # fmt: skip
    (line,) = map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines())
    assert line["data"]["coverage"]["train"] == {"listed": 9, "used": 12, "problems": []}
    assert line["versions"]["torch"]


def test_what_is_measured_is_not_measured_again_unless_something_changed(tmp_path, data):
    tokenizer = ByLetter()
    first = run_all(_bench(tmp_path), [tokenizer], datasets=[_dataset(data)])
    calls = tokenizer.calls
    assert calls == len(data.chains)
    again = run_all(_bench(tmp_path), [tokenizer], datasets=[_dataset(data)])
    assert again[0]["key"] == first[0]["key"]
    assert tokenizer.calls == calls
    assert len(ResultsFile(tmp_path / "results.jsonl")) == 1
    other = replace(data, content_hash="0" * 16)
    run_all(_bench(tmp_path), [tokenizer], datasets=[_dataset(other)])
    assert len(ResultsFile(tmp_path / "results.jsonl")) == 2
    assert tokenizer.calls == calls


def test_chains_without_tokens_are_counted_by_item_and_the_rest_goes_on(tmp_path, data):
    tokenizer = ByLetter(refuses=("tr3",), too_many=("fo1",))
    (result,) = run_all(_bench(tmp_path), [tokenizer], datasets=[_dataset(data)])
    problems = {one.id: one.reason for one in result["token_problems"]}
    assert set(problems) == {"train: tr3", "fold_test: fo1"}
    assert "too strange" in problems["train: tr3"]
    assert result["probe"]["splits"]["fold_test"]["items"] == 4
    assert result["probe"]["train_items"] == 11


def test_a_test_split_of_one_class_has_no_score_but_a_note(tmp_path, data):
    items = tuple(
        replace(one, labels=np.zeros_like(one.labels)) for one in data.splits["fold_test"]
    )
    flat = replace(data, splits={**data.splits, "fold_test": items})
    (result,) = run_all(_bench(tmp_path), [ByLetter()], datasets=[_dataset(flat)])
    split = result["probe"]["splits"]["fold_test"]
    assert split["estimates"]["pooled"]["value"] is None
    assert split["note"]


def test_a_task_that_cannot_run_is_a_result_with_its_reason(tmp_path, data):
    empty = replace(data, splits={**data.splits, "train": ()})
    gone = replace(_dataset(None), problem="no file of the task")
    found = run_all(_bench(tmp_path), [ByLetter()], datasets=[_dataset(empty), gone])
    assert "has no item with tokens and labels" in found[0]["failed"]
    assert found[1]["failed"] == "no file of the task"
    assert len(ResultsFile(tmp_path / "results.jsonl")) == 2


def test_codes_and_pairs_are_measured(tmp_path, data):
    chains = ChainSet(name="some", chains=data.chains, origin="made up")
    names = list(data.chains)
    pairs = PairSet(
        name="pairs",
        pairs=tuple(
            Pair(id=f"{a}-{b}", first=a, second=b, tm_score=0.1 * number)
            for number, (a, b) in enumerate(zip(names[:6], names[6:12], strict=True))
        ),
        chains=data.chains,
        listed=7,
    )
    book, sense = run_all(
        _bench(tmp_path), [ByLetter(refuses=("tr0",))], chain_sets=[chains], pair_sets=[pairs]
    )
    lines = list(ResultsFile(tmp_path / "results.jsonl"))
    assert lines[0]["usage"]["utilization"] == 1.0
    assert sum(lines[0]["usage"]["counts"]) == sum(
        len(chain.sequence) for name, chain in data.chains.items() if name != "tr0"
    )
    assert book["data"]["chains"] == len(data.chains) - 1
    assert lines[1]["result"]["coverage"]["used"] == 5
    assert len(sense["scores"]) == 5


def test_the_command_runs_label_files_on_the_structures_that_are_there(
    tmp_path, sample_structures, capsys
):
    from provq_protein.structure.reading import read_backbones

    folder, labels = tmp_path / "structures", tmp_path / "labels"
    folder.mkdir()
    labels.mkdir()
    known = []
    for path in sample_structures:
        entry = path.name.split(".")[0].lower()
        if len(entry) == 4:
            shutil.copy(path, folder / path.name)
            known += [(entry, chain) for chain in read_backbones(path)]
    task = TASKS["CatInt"]
    for split in task.splits:
        lines = []
        for entry, chain in known:
            wanted = [int(letter in "HDE") for letter in chain.sequence]
            lines.append(
                {
                    "pdb_path": f"./x/{entry}_{chain.chain_id}.pdb",
                    task.label_field: wanted,
                    "residue_index": chain.author_numbers.tolist(),
                }
            )
        lines.append({"pdb_path": "./x/9zzz_A.pdb", task.label_field: [1], "residue_index": [1]})
        path = labels / f"{task.dataset}_{task.label_field}_{split}.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    command = ["run", "--tokenizer", "amino_acid", "--data", str(labels), "--keep-leaks"]
    command += ["--structures", str(folder), "--out", str(tmp_path / "out"), "--seeds", "1"]
    assert main([*command, "--tasks", "CatInt"]) == 0
    assert "1 results in" in capsys.readouterr().out
    (line,) = ResultsFile(tmp_path / "out" / "results.jsonl")
    coverage = line["data"]["coverage"]["fold_test"]
    assert coverage["listed"] == len(known) + 1
    assert "9zzz" in coverage["problems"][-1]["id"]
    assert line["probe"]["splits"]["fold_test"]["estimates"]["pooled"]["value"] > 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tokenizer", "nonsense"], "no such name and no such folder"),
        (["--tokenizer", "3di", "--tasks", "Nonsense"], "no such task here"),
        (["--tokenizer", "3di", "--chains", "casp14"], "must be NAME=FOLDER"),
        (["--tokenizer", "3di", "--seeds", "0"], "--seeds: must be 1 or more"),
        (["--tokenizer", "3di", "--data", "/nonexistent"], "no such folder"),
    ],
)
def test_commands_that_cannot_be_served_say_why(tmp_path, capsys, arguments, message):
    pytest.importorskip("mini3di", reason="the tokenizer 3di needs the extra 'bench'")
    data = [] if "--data" in arguments else ["--data", str(tmp_path), "--structures", str(tmp_path)]
    assert main(["run", *arguments, *data, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_labels_asks_for_structures(tmp_path, capsys):
    assert main(["run", "--tokenizer", "position", "--data", str(tmp_path)]) == 2
    assert "--structures FOLDER" in capsys.readouterr().err


def test_tasks_are_listed(capsys):
    assert main(["tasks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("BindInt\tfunctional\tauroc\t")


def test_a_folder_of_structures_is_a_chain_set(tmp_path, sample_structures):
    shutil.copy(sample_structures[0], tmp_path)
    (tmp_path / "notes.txt").write_text("no structure")
    found = chains_from_folder("some", tmp_path)
    assert found.chains
    assert [one.id for one in found.problems] == ["notes.txt"]


def test_every_task_of_the_arrays_can_be_run_or_says_why(shared_data):
    folder = DataFolder(shared_data)
    found = {one.name: one for one in folder.datasets(folder.task_names, DataOptions())}
    assert {name for name, one in found.items() if one.splits == "local"} == {"BindBio", "CatBio"}
    assert [name for name, one in found.items() if one.problem] == []
    for one in found.values():
        assert one.data is not None
        train = {one.data.clusters[item.chain] for item in one.data.splits[one.task.train]}
        for split, items in one.data.splits.items():
            if split != one.task.train:
                assert train.isdisjoint(one.data.clusters[item.chain] for item in items)
