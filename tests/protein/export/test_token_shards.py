"""Is every chain of a run's Parquet files found by its name?"""

import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.export import shards as module
from provq_protein.export.shards import TokenShards
from provq_protein.tokens.formats import save_tokens


def test_chains_are_found_over_all_files(corpus) -> None:
    (folder, *_), chains = corpus
    with TokenShards(folder) as shards:
        assert list(shards) == [f"e{number}_A" for number in range(9)]
        assert len(shards) == 9
        assert "e7_A" in shards
        assert "e9_A" not in shards
        for number in (8, 0, 4, 5):
            found = shards[f"e{number}_A"]
            assert found.ids.tolist() == chains[number].ids.tolist()
            assert found.residue_ids == chains[number].residue_ids
        assert shards.place("e5_A") == (folder / "part-1.parquet", 0)
        assert shards.get("e9_A") is None
        with pytest.raises(KeyError):
            shards["e9_A"]


def test_many_files_are_not_open_at_once(corpus, monkeypatch) -> None:
    monkeypatch.setattr(module, "_OPEN_FILES", 1)
    (folder, *_), chains = corpus
    shards = TokenShards(folder)
    assert [len(shards[name]) for name in shards] == [len(chain) for chain in chains[:9]]
    assert len(shards._open) == 1
    shards.close()
    assert len(shards["e3_A"]) == len(chains[3])
    shards.close()


def test_one_name_in_two_files_is_refused_with_both(corpus, make_entry) -> None:
    (folder, *_), _ = corpus
    save_tokens(folder / "part-9.parquet", [make_entry(30), make_entry(2, source="other/e2.cif")])
    with pytest.raises(
        TokenFormatError,
        match=r"'e2_A': .*part-0\.parquet: row 2 \(.*in/e2\.cif\), and .*part-9\.parquet: row 1",
    ):
        TokenShards(folder)


def test_a_damaged_file_is_refused_by_name(corpus) -> None:
    (folder, *_), _ = corpus
    path = folder / "part-1.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TokenFormatError, match=r"part-1\.parquet"):
        TokenShards(folder)
