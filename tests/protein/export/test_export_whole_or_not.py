"""Is everything exported, or nothing, and whatever was left out reported?"""

import pytest

from provq_protein.errors import MissingExtraError, TokenFormatError
from provq_protein.export import exporting, folders
from provq_protein.export.exporting import TARGETS, export_tokens
from provq_protein.export.token_array import TokenArray
from provq_protein.export.token_files import token_files
from provq_protein.tokens import parquet
from provq_protein.tokens.formats import load_tokens, save_tokens
from provq_protein.tokens.text import read_fasta


def names_of(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_of_a_folder_come_in_order_of_their_names(corpus, tmp_path) -> None:
    inputs, _ = corpus
    assert [path.name for path in token_files(inputs)] == [
        "part-0.parquet", "part-1.parquet", "more.jsonl", "more.npz",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(TokenFormatError, match="empty: a folder without Parquet"):
        token_files([tmp_path / "empty"])


def test_a_datasets_folder_holds_token_files_and_a_card(corpus, tmp_path) -> None:
    inputs, chains = corpus
    export_tokens(inputs, tmp_path / "out", to="datasets", chains_per_file=8)
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in files] == [f"train-{n:05d}.parquet" for n in range(3)]
    loaded = [chain for path in files for chain in load_tokens(path)]
    assert [chain.source for chain in loaded] == [chain.source for chain in chains]
    assert [chain.ids.tolist() for chain in loaded] == [chain.ids.tolist() for chain in chains]
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n- config_name: default\n  data_files:\n")
    assert "path: data/*.parquet" in card
    assert "20 protein chains" in card


@pytest.mark.parametrize("style", ["ints", "fixed"])
def test_text_holds_names_ids_and_mask(style, corpus, tmp_path) -> None:
    inputs, chains = corpus
    done = export_tokens(inputs, tmp_path / "out.fasta", to="fasta", style=style)
    records = read_fasta(tmp_path / "out.fasta")
    assert done.chains == len(records) == len(chains)
    assert [record.ids.tolist() for record in records] == [chain.ids.tolist() for chain in chains]
    assert records[3].name == "e3_A"


def test_a_file_that_cannot_be_read_is_reported_and_the_rest_exported(corpus, tmp_path) -> None:
    inputs, chains = corpus
    damaged = inputs[0] / "part-0.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    (tmp_path / "text.npz").write_text("no tokens")
    problems: list[Exception] = []
    given = [*inputs, tmp_path / "text.npz", tmp_path / "absent.npz"]
    done = export_tokens(given, tmp_path / "out", to="memmap", on_problem=problems.append)
    assert done.chains == len(chains) - 5
    assert TokenArray(tmp_path / "out")[0].name == "e5_A"
    assert len(problems) == 3
    for problem, name in zip(problems, ("part-0.parquet", "text.npz", "absent.npz"), strict=True):
        assert name in str(problem)
    with pytest.raises(TokenFormatError, match=r"part-0\.parquet"):
        export_tokens(inputs, tmp_path / "raised", to="memmap")
    assert not (tmp_path / "raised").exists()


@pytest.mark.parametrize("to", ["memmap", "datasets", "fasta"])
def test_two_chains_of_one_name_are_refused_with_both(to, make_entry, tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra provq[parquet]")
    save_tokens(tmp_path / "a.npz", [make_entry(1, source="x/1abc.cif")])
    save_tokens(tmp_path / "b.npz", [make_entry(2), make_entry(3, source="y/1abc.cif")])
    before, files = names_of(tmp_path), [tmp_path / "a.npz", tmp_path / "b.npz"]
    with pytest.raises(TokenFormatError, match=r"x/1abc.*a\.npz.*y/1abc.*b\.npz.*--ids path"):
        export_tokens(files, tmp_path / "out", to=to)
    assert names_of(tmp_path) == before
    assert export_tokens(files, tmp_path / "out", to=to, names="path").chains == 3


def test_tokens_of_two_models_are_refused_with_both(make_entry, tmp_path) -> None:
    save_tokens(tmp_path / "a.npz", [make_entry(1)])
    save_tokens(tmp_path / "b.npz", [make_entry(2, fingerprint="f" * 16)])
    with pytest.raises(TokenFormatError, match=r"b\.npz.*ffff.*a\.npz by 0123456789abcdef"):
        export_tokens([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "out", to="memmap")
    assert names_of(tmp_path) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("to", TARGETS)
def test_a_full_disk_leaves_nothing(to, make_entry, tmp_path, monkeypatch) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra provq[parquet]")
    save_tokens(tmp_path / "a.npz", [make_entry(n, codes=20) for n in range(1, 5)])
    given = [tmp_path / "a.npz"]
    export_tokens(given, tmp_path / "out", to=to)
    kept = read_all(tmp_path / "out")

    def full(*args, **kwargs):
        writers[to](*args, **kwargs)
        raise OSError(28, "No space left on device")

    writers = {name: getattr(exporting, f"write_{name}") for name in TARGETS}
    monkeypatch.setattr(exporting, f"write_{to}", full)
    for name in ("new", "out"):
        with pytest.raises(OSError, match="No space"):
            export_tokens(given, tmp_path / name, to=to, overwrite=True)
    assert names_of(tmp_path) == ["a.npz", "out"]
    assert read_all(tmp_path / "out") == kept


def read_all(path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def test_a_failed_rename_brings_the_old_folder_back(corpus, tmp_path, monkeypatch) -> None:
    inputs, _ = corpus
    export_tokens(inputs, tmp_path / "out", to="memmap")
    kept = read_all(tmp_path / "out")
    rename = folders.Path.rename

    def refused(path, target):
        if path.name.endswith(".tmp"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(folders.Path, "rename", refused)
    with pytest.raises(OSError, match="Input/output"):
        export_tokens(inputs, tmp_path / "out", to="memmap", overwrite=True)
    assert read_all(tmp_path / "out") == kept
    assert not [name for name in names_of(tmp_path) if name.startswith(".out")]


def test_only_an_earlier_export_is_overwritten(corpus, tmp_path) -> None:
    inputs, _ = corpus
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    for overwrite, message in ((False, "exists; .*--overwrite"), (True, "not an earlier export")):
        with pytest.raises(TokenFormatError, match=message):
            export_tokens(inputs, out, to="memmap", overwrite=overwrite)
    assert (out / "thesis.txt").read_text() == "precious"
    (out / "thesis.txt").unlink()
    export_tokens(inputs, out, to="memmap", overwrite=True)
    export_tokens(inputs[1:], out, to="memmap", overwrite=True)
    assert len(TokenArray(out)) == 11
    with pytest.raises(TokenFormatError, match=r"more\.npz: is not a folder"):
        export_tokens(inputs, tmp_path / "more.npz", to="memmap", overwrite=True)
    with pytest.raises(TokenFormatError, match="absent does not exist"):
        export_tokens(inputs, tmp_path / "absent" / "out", to="memmap")


def test_without_chains_nothing_is_written(tmp_path) -> None:
    save_tokens(tmp_path / "a.npz", [])
    for to in TARGETS:
        if to != "datasets":
            assert export_tokens([tmp_path / "a.npz"], tmp_path / "out", to=to).chains == 0
    assert names_of(tmp_path) == ["a.npz"]


def test_unknown_layouts_and_sizes_are_refused(tmp_path) -> None:
    with pytest.raises(TokenFormatError, match="layout 'zarr'"):
        export_tokens([], tmp_path / "out", to="zarr")
    with pytest.raises(TokenFormatError, match="at least 1, got 0"):
        export_tokens([], tmp_path / "out", to="datasets", chains_per_file=0)


def test_a_datasets_folder_without_pyarrow_names_the_extra(make_entry, tmp_path, monkeypatch):
    save_tokens(tmp_path / "a.npz", [make_entry(1)])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"provq\[parquet\]"):
        export_tokens([tmp_path / "a.npz"], tmp_path / "out", to="datasets")
    assert export_tokens([tmp_path / "a.npz"], tmp_path / "out", to="memmap").chains == 1


def test_parquet_files_are_streamed(make_entry, tmp_path, monkeypatch) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra provq[parquet]")
    monkeypatch.setattr(parquet, "CHAINS_PER_ROW_GROUP", 2)
    save_tokens(tmp_path / "a.parquet", [make_entry(n) for n in range(10)])
    held: list[int] = []
    read = parquet.ParquetTokens._chains

    def watched(self, group, start, number):
        chains = read(self, group, start, number)
        held.append(len(chains))
        return chains

    monkeypatch.setattr(parquet.ParquetTokens, "_chains", watched)
    assert export_tokens([tmp_path / "a.parquet"], tmp_path / "out", to="memmap").chains == 10
    assert held == [2] * 5


def test_what_fails_halfway_is_no_export(make_entry, tmp_path, monkeypatch) -> None:
    # Without checksums of ours, damage can only show once chains have been handed on.
    pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra provq[parquet]")
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    save_tokens(path, [make_entry(1), make_entry(2)])
    table = pq.read_table(path)
    wrong = arrow.array([4096, 1], type=arrow.int32())
    column = table.column_names.index("codebook_size")
    pq.write_table(table.set_column(column, table.schema.field(column), wrong), path,
                   row_group_size=1)  # fmt: skip
    problems: list[Exception] = []
    with pytest.raises(TokenFormatError, match=r"a\.parquet"):
        export_tokens([path], tmp_path / "out", to="memmap", on_problem=problems.append)
    assert names_of(tmp_path) == ["a.parquet"]
