"""Do real files give the same residues in every format and by other readers? Two sentences."""

import importlib
import sys

import pytest

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def agreement(repo_root):
    """Return the module that compares, which needs both readers."""
    pytest.importorskip("gemmi", reason="comparing readers needs the extra 'parity'")
    pytest.importorskip("Bio.PDB", reason="comparing readers needs the extra 'parity'")
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield importlib.import_module("agreement.run")
    sys.path.remove(str(repo_root / "benchmarks"))


def unexplained(agreement, contents):
    """Return the rows of files that another reader reads otherwise for no known reason."""
    rows = list(agreement.ask_readers(contents))
    assert any("residues" in row for row in rows)
    return [row for row in rows if "unexplained" in row.get("reasons", {})]


def different(comparisons):
    """Return the pairs of files that disagree, and how many were compared."""
    found = list(comparisons)
    return [one for one in found if one.different_tables or one.different_ids], len(found)


def test_samples_agree(agreement, samples, tokenizer):
    contents = agreement.contents_of(samples)
    assert unexplained(agreement, contents) == []
    # The one entry that is there in two formats.
    pairs = agreement.compare_formats(contents, tokenizer, written=False)
    assert different(pairs) == ([], 1)
    assert different(agreement.compare_packed(contents, None)) == ([], len(contents))


def test_real_entries_agree(agreement, shared_data, tokenizer):
    entries = agreement.contents_of(shared_data / "structures" / "rcsb")
    pairs = agreement.compare_formats(entries, None, written=False)
    assert different(pairs) == ([], 16)
    small = [one for one in entries if one.name.startswith("1l2y")]
    pairs = agreement.compare_formats(small, tokenizer, written=False)
    assert different(pairs) == ([], 2)
    docking = agreement.contents_of(shared_data / "structures" / "bm5")[::8]
    pairs = agreement.compare_formats(docking, None, written=True)
    assert different(pairs) == ([], len(docking))
    assert unexplained(agreement, docking[:1]) == []
    # Alternate locations are what readers differ about.
    assert unexplained(agreement, [one for one in entries if "1k6p" in one.name]) == []
