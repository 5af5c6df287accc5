"""Does the script count what ``codebook FILES`` counts, in the chains the model was trained on?"""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from provq_protein.cli import main
from provq_protein.errors import CheckpointError, StructureError
from provq_protein.reports.chain_records import coded_chain
from provq_protein.reports.code_statistics import code_statistics
from provq_protein.reports.statistics_file import default_statistics_file, read_statistics
from provq_protein.runs.files import sha256_of
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.structure.writing import write_backbone
from provq_protein.tokenizer import StructureTokenizer


@pytest.fixture
def script(monkeypatch, repo_root: Path):
    monkeypatch.syspath_prepend(str(repo_root / "benchmarks"))
    return importlib.import_module("codebook_statistics.run")


def shown(page: Path) -> tuple[dict[int, int], dict[int, str]]:
    """Return counts and exemplars of a dictionary, by code; only those there are."""
    text = page.read_text(encoding="utf-8")
    counts, exemplars = {}, {}
    for code, card in re.findall(r'<li id="c(\d+)"(.*?)</li>', text, re.DOTALL):
        counts[int(code)] = int(re.search(r'data-count="(\d+)"', card).group(1))
        named = re.search(r"<p>exemplars: (.*?)</p>", card)
        if named:
            exemplars[int(code)] = named.group(1)
    return {code: count for code, count in counts.items() if count}, exemplars


def test_the_first_training_chains_are_counted_as_the_command_does(
    script, shared_data, tmp_path
) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    arrays = shared_data / "backbones.npz"
    chains = script.training_chains(
        arrays, shared_data / "sets.json", data_hash=script.trained_hash(tokenizer)
    )
    origin = read_statistics(default_statistics_file()).origin
    assert (origin.name, origin.seed) == (script.SET, script.SEED)
    assert origin.sha256 == sha256_of(arrays)
    files = []
    for chain in script.mixed(chains, script.SEED)[:3]:
        files.append(tmp_path / f"{chain.source.partition(':')[0]}.cif")
        write_backbone(files[-1], chain)
    page = tmp_path / "d.html"

    # From the files, since their coordinates are rounded to three decimals.
    read = [chain for file in files for chain in read_backbones(file)]
    found = code_statistics(list(script.encoded(read, tokenizer)), tokenizer)
    assert main(["codebook", *map(str, files), "-o", str(page)]) == 0

    counts, exemplars = shown(page)
    codes = np.flatnonzero(found.use.counts).tolist()
    assert counts == {code: int(found.use.counts[code]) for code in codes}
    assert exemplars == {
        code: ", ".join(f"{chain} {residue}" for chain, residue in one.exemplars)
        for code, one in found.fragments.items()
    }


def test_chains_are_mixed_the_same_way_again_and_none_is_lost(script, make_coords) -> None:
    chains = [Backbone.from_arrays(make_coords(length, 1)) for length in range(5, 30)]
    first, again = (script.mixed(chains, 0) for _ in range(2))
    assert [len(one) for one in first] == [len(one) for one in again]
    assert [len(one) for one in first] != [len(one) for one in chains]
    assert sorted(len(one) for one in first) == list(range(5, 30))
    assert [len(one) for one in script.mixed(chains, 1)] != [len(one) for one in first]


def test_exemplars_without_an_entry_are_dropped(script, make_coords, tiny_model) -> None:
    tokenizer = StructureTokenizer(tiny_model)
    chains = [
        Backbone.from_arrays(make_coords(12, seed), chain_id="A", source=source)
        for seed, source in ((1, ":A"), (2, "1abc:A"))
    ]
    found = code_statistics([coded_chain(one, tokenizer) for one in chains], tokenizer)
    kept = script.without_unnamed(found)
    before, after = (
        {chain for one in known.fragments.values() for chain, _ in one.exemplars}
        for known in (found, kept)
    )
    assert (before, after) == ({":A", "1abc:A"}, {"1abc:A"})
    assert set(kept.fragments) == set(found.fragments)


def test_another_set_of_chains_is_refused(script, shared_data) -> None:
    with pytest.raises(StructureError, match=r"makes the store [0-9a-f]{16}, the model's is 0123"):
        script.training_chains(
            shared_data / "backbones.npz", shared_data / "sets.json", data_hash="0123"
        )


def test_a_model_that_does_not_say_its_data_is_refused(script) -> None:
    tokenizer = StructureTokenizer.from_pretrained()
    tokenizer.origin = replace(tokenizer.origin, training={})
    with pytest.raises(CheckpointError, match=r"training\.data_hash"):
        script.trained_hash(tokenizer)
