"""Does every chain reach a training loop once, whole and padded as padding?"""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from provq_protein.errors import TokenFormatError
from provq_protein.export.exporting import export_tokens
from provq_protein.tokens.formats import save_tokens
from provq_protein.vocabulary.model_inputs import ModelInputs
from provq_protein.vocabulary.torch_data import PaddingCollator, TokenStream
from provq_protein.vocabulary.vocabulary import Vocabulary

ESM3 = Vocabulary.named("esm3", codebook_size=4096)
INPUTS = ModelInputs(vocabulary=ESM3)


@pytest.fixture
def chains(make_ids_chain):
    """Return nine chains whose first code says which one it is."""
    return [make_ids_chain([n, -1] + [100] * n, source=f"in/c{n}.cif") for n in range(9)]


@pytest.fixture
def files(chains, tmp_path):
    """Return three token files of different formats with these chains."""
    paths = [tmp_path / name for name in ("a.npz", "b.jsonl", "c.npz")]
    for number, path in enumerate(paths):
        save_tokens(path, chains[3 * number : 3 * number + 3])
    return paths


def first_codes(stream) -> list[int]:
    """Return which chains came, in order."""
    return [int(row["input_ids"][1]) for row in stream]


def test_rows_are_padded_and_nothing_is_cut(make_ids_chain) -> None:
    rows = [INPUTS.of(make_ids_chain(ids)) for ids in ([5, 6, -1], [], [7])]
    rows = [row | {"labels": np.where(row["resolved"], row["input_ids"], -100)} for row in rows]
    batch = PaddingCollator(ESM3)(rows)
    assert batch["input_ids"].tolist() == [
        [4098, 5, 6, 4096, 4097],
        [4098, 4097, 4099, 4099, 4099],
        [4098, 7, 4097, 4099, 4099],
    ]
    assert batch["attention_mask"].tolist() == [[1] * 5, [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]
    assert batch["resolved"].tolist()[2] == [False, True, False, False, False]
    assert batch["positions"].tolist()[2] == [-1, 0, -1, -1, -1]
    assert batch["labels"].tolist()[2] == [-100, 7, -100, -100, -100]
    types = {name: values.dtype for name, values in batch.items()}
    assert types.pop("resolved") == torch.bool
    assert set(types.values()) == {torch.int64}


def test_the_sequence_track_is_padded_with_its_own_pad(make_ids_chain) -> None:
    inputs = ModelInputs(vocabulary=ESM3, template="parallel")
    batch = PaddingCollator(ESM3)([inputs.of(make_ids_chain(ids)) for ids in ([5, 6], [7])])
    assert batch["sequence_ids"].tolist() == [[0, 5, 23, 2], [0, 5, 2, 1]]


def test_an_unresolved_residue_written_as_padding_is_attended_to(make_ids_chain) -> None:
    inputs = ModelInputs(vocabulary=ESM3, unresolved="token:pad")
    batch = PaddingCollator(ESM3)([inputs.of(make_ids_chain(ids)) for ids in ([5, -1], [6])])
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_rows_that_make_no_batch_are_refused() -> None:
    collate = PaddingCollator(ESM3)
    with pytest.raises(TokenFormatError, match="at least one row"):
        collate([])
    with pytest.raises(TokenFormatError, match=r"columns input_ids, source.*remove_columns"):
        collate([{"input_ids": [1], "source": [2]}])
    with pytest.raises(TokenFormatError, match="expected input_ids"):
        collate([{"labels": [1]}])
    with pytest.raises(TokenFormatError, match="row 1: expected input_ids, labels of one length"):
        collate([{"input_ids": [1], "labels": [1]}, {"input_ids": [1]}])
    with pytest.raises(TokenFormatError, match="row 0: expected input_ids, labels of one length"):
        collate([{"input_ids": [1, 2], "labels": [1]}])
    with pytest.raises(TypeError, match="Cannot cast"):
        collate([{"input_ids": [0.5]}])


def test_chains_of_files_and_of_an_export_are_the_same(chains, files, tmp_path) -> None:
    export_tokens(files, tmp_path / "corpus", to="memmap")
    expected = [INPUTS.of(chain) for chain in chains]
    for inputs in (files, [tmp_path / "corpus"]):
        rows = list(TokenStream(inputs, INPUTS))
        assert len(rows) == len(expected)
        for row, wanted in zip(rows, expected, strict=True):
            assert {name: values.tolist() for name, values in row.items()} == {
                name: values.tolist() for name, values in wanted.items()
            }


def test_folders_of_parquet_files_and_datasets_are_streamed(files, chains, tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra provq[parquet]")
    export_tokens(files, tmp_path / "datasets", to="datasets", chains_per_file=4)
    (tmp_path / "shards").mkdir()
    save_tokens(tmp_path / "shards" / "part-0.parquet", chains)
    for folder in ("datasets", "shards"):
        assert first_codes(TokenStream([tmp_path / folder], INPUTS)) == list(range(9))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_share_the_chains(files, tmp_path, monkeypatch, workers) -> None:
    export_tokens(files, tmp_path / "corpus", to="memmap")

    class Worker:
        num_workers = workers
        id = 0

    # What a worker process of a DataLoader is told, without the cost of starting one.
    monkeypatch.setattr("provq_protein.vocabulary.torch_data.get_worker_info", lambda: Worker)
    for inputs in (files, [tmp_path / "corpus"]):
        seen = []
        for Worker.id in range(workers):
            seen += first_codes(TokenStream(inputs, INPUTS))
        assert sorted(seen) == list(range(9))


@pytest.mark.slow
def test_a_loader_batches_the_stream_from_another_process(files) -> None:
    loader = DataLoader(
        TokenStream(files, INPUTS),
        batch_size=4,
        collate_fn=PaddingCollator(ESM3),
        num_workers=1,
        # The tests' own process has threads, which a fork would leave behind.
        multiprocessing_context="spawn",
    )
    batches = list(loader)
    assert [len(batch["input_ids"]) for batch in batches] == [4, 4, 1]
    assert torch.cat([batch["input_ids"][:, 1] for batch in batches]).tolist() == list(range(9))


def test_a_damaged_file_is_reported_and_the_others_are_read(files) -> None:
    files[0].write_bytes(b"PK\x03\x04 half")
    problems = []
    stream = TokenStream(files, INPUTS, on_problem=problems.append)
    assert first_codes(stream) == [3, 4, 5, 6, 7, 8]
    assert len(problems) == 1
    assert str(files[0]) in str(problems[0])
    with pytest.raises(TokenFormatError, match=r"a.npz"):
        list(TokenStream(files, INPUTS))


def test_chains_of_another_model_or_codebook_are_refused(files, make_ids_chain, tmp_path) -> None:
    other = tmp_path / "other.npz"
    save_tokens(other, [make_ids_chain([1], fingerprint="f" * 16)])
    with pytest.raises(TokenFormatError, match=r"other.npz: chain A: encoded by.*f{16}.*0123"):
        list(TokenStream([*files, other], INPUTS))
    small = ModelInputs(vocabulary=Vocabulary.named("esm3", codebook_size=512))
    with pytest.raises(TokenFormatError, match=r"c0.cif: chain A: encoded with 4096 codes"):
        list(TokenStream(files, small))
    export_tokens(files, tmp_path / "corpus", to="memmap")
    with pytest.raises(TokenFormatError, match="encoded with 4096 codes"):
        list(TokenStream([tmp_path / "corpus"], small))


def test_another_model_is_noticed_by_the_worker_that_meets_it(
    files, make_ids_chain, tmp_path, monkeypatch
) -> None:
    other = tmp_path / "other.npz"
    save_tokens(other, [make_ids_chain([1], fingerprint="f" * 16)])

    class Second:
        num_workers = 2
        id = 1

    monkeypatch.setattr("provq_protein.vocabulary.torch_data.get_worker_info", lambda: Second)
    with pytest.raises(TokenFormatError, match="encoded by the model"):
        list(TokenStream([files[0], other], INPUTS))


def test_an_export_without_sequences_says_so(files, tmp_path) -> None:
    export_tokens(files, tmp_path / "corpus", to="memmap")
    inputs = ModelInputs(vocabulary=ESM3, template="parallel")
    with pytest.raises(TokenFormatError, match="c0_A: no column 'sequence'"):
        list(TokenStream([tmp_path / "corpus"], inputs))


def test_inputs_that_hold_no_tokens_are_refused(tmp_path) -> None:
    with pytest.raises(TypeError, match="must be a list"):
        TokenStream(tmp_path, INPUTS)
    with pytest.raises(TokenFormatError, match="without Parquet token files"):
        TokenStream([tmp_path], INPUTS)
    assert list(TokenStream([], INPUTS)) == []
