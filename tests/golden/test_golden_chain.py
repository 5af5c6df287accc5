"""Is what `provq-protein doctor` expects of the golden chain true, and safe from rounding?

`make golden` writes it again.
"""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from provq_protein.evaluation.golden_chain import (
    CHAIN,
    EXPECTED,
    expected_golden,
    golden_chain,
    golden_folder,
    golden_ids,
    measure_golden,
)
from provq_protein.evaluation.stability import random_rotation
from provq_protein.runs.documents import default_model
from provq_protein.structure.reading import read_backbones
from provq_protein.structure.writing import write_backbone
from provq_protein.tokenizer import StructureTokenizer

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def tokenizer():
    return StructureTokenizer.from_pretrained()


@pytest.fixture
def sample(repo_root):
    """Return the chain of the samples that the golden one was taken from."""
    return read_backbones(repo_root / "data" / "structures" / CHAIN)[0]


def test_the_expected_values_are_those_of_the_shipped_model(tokenizer, sample, update_golden):
    folder = golden_folder()
    if update_golden:
        folder.mkdir(exist_ok=True)
        write_backbone(folder / CHAIN, sample)
        found = measure_golden(tokenizer, default_model())
        (folder / EXPECTED).write_text(json.dumps(asdict(found), indent=1) + "\n")
        pytest.skip(f"rewrote {folder.name}/{CHAIN} and {folder.name}/{EXPECTED}")
    assert {path.name for path in folder.iterdir()} == {CHAIN, EXPECTED}
    found, expected = measure_golden(tokenizer, default_model()), expected_golden()
    assert replace(found, rmsd=expected.rmsd) == expected
    assert found.rmsd == pytest.approx(expected.rmsd, abs=0.01)


def test_the_golden_chain_is_the_sample_without_side_chains(sample):
    golden = golden_chain()
    assert golden.resolved.all()
    assert np.array_equal(golden.coords, sample.coords)
    assert golden.residue_ids == sample.residue_ids
    assert golden.residue_names == sample.residue_names


def test_no_rounding_changes_an_id_of_the_golden_chain(tokenizer):
    golden = golden_chain()
    expected = list(golden_ids(tokenizer))
    for seed in range(20):
        generator = np.random.default_rng(seed)
        turn, shift = random_rotation(generator), generator.normal(0.0, 30.0, 3)
        coords = (golden.coords.astype(np.float64) @ turn.T + shift).astype(np.float32)
        (moved,) = tokenizer.encode([replace(golden, coords=coords)])
        assert moved.ids.tolist() == expected, seed


def test_the_expected_deviation_is_within_that_of_the_model_card():
    card = (default_model() / "README.md").read_text(encoding="utf-8")
    median = re.search(r"^\| 1 to 100 \| \d+ \| ([\d.]+) \|", card, re.MULTILINE)
    assert median is not None
    assert expected_golden().rmsd <= float(median[1])
