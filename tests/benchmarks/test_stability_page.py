"""Does the page on stability show the committed results, and are those of the shipped model?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from provq_protein.tokenizer import StructureTokenizer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "stability" / "run.py"
RESULTS = sorted((ROOT / "benchmarks" / "stability" / "results").glob("*.json"))


def test_the_page_shows_the_committed_results() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_results_are_those_of_the_shipped_model_and_add_up(path) -> None:
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["fingerprint"] == StructureTokenizer.from_pretrained().fingerprint
    for row in results["rows"]:
        counts = [chain["same_of"].get(row["name"]) for chain in results["chains"]]
        same = sum(one[0] for one in counts if one)
        residues = sum(one[1] for one in counts if one)
        assert residues == row["residues"]
        if residues:
            assert same / residues == pytest.approx(row["share"], abs=1e-6)
