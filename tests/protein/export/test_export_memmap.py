"""Are tokens mapped into memory the same as those of the token files, and damage noticed?"""

import json
import pickle

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.export.exporting import export_tokens
from provq_protein.export.folders import HEADER
from provq_protein.export.token_array import TokenArray
from provq_protein.tokens.formats import save_tokens


@pytest.fixture
def exported(corpus, tmp_path):
    """Return the exported folder and the chains in it."""
    inputs, chains = corpus
    done = export_tokens(inputs, tmp_path / "out", to="memmap")
    assert (done.chains, done.residues) == (20, sum(map(len, chains)))
    return tmp_path / "out", chains


def test_every_row_is_that_of_the_token_files(exported) -> None:
    folder, chains = exported
    array = TokenArray(folder)
    assert len(array) == len(chains)
    assert array.fingerprint == chains[0].fingerprint
    assert array.codebook_size == 4096
    assert array.residues == sum(map(len, chains))
    for row, chain in zip(array, chains, strict=True):
        assert row.name == chain.source.removeprefix("in/").replace(".cif", "_A")
        assert row.tokens.dtype == np.uint16
        np.testing.assert_array_equal(row.resolved, chain.resolved)
        np.testing.assert_array_equal(row.tokens[chain.resolved], chain.ids[chain.resolved])
        assert (row.tokens[~chain.resolved] == 4096).all()
    assert array[-1].name == array[len(array) - 1].name
    with pytest.raises(IndexError, match="no row 20"):
        array[20]
    array.verify()


def test_rows_are_found_by_name(exported) -> None:
    array = TokenArray(exported[0])
    for row in array:
        np.testing.assert_array_equal(array.by_id(row.name).tokens, row.tokens)
    assert array.row_of("e10_A") == 10
    for absent in ("", "e1", "e20_A", "zzz", "é"):
        with pytest.raises(KeyError, match="no chain is called"):
            array.by_id(absent)


def test_arrays_are_mapped_and_read_only(exported) -> None:
    tokens = TokenArray(exported[0])[3].tokens
    assert isinstance(tokens, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_numpy_alone_reads_the_arrays(exported) -> None:
    folder, chains = exported
    offsets = np.load(folder / "offsets.npy")
    tokens = np.load(folder / "tokens.npy", mmap_mode="r")
    bits = np.unpackbits(np.load(folder / "resolved.npy"))
    for row, chain in enumerate(chains):
        start, stop = offsets[row : row + 2]
        assert tokens[start:stop].tolist() == np.where(chain.resolved, chain.ids, 4096).tolist()
        assert bits[start:stop].tolist() == chain.resolved.tolist()
    header = json.loads((folder / HEADER).read_text())
    assert header["unresolved_token"] == header["codebook_size"] == 4096
    assert header["kind"] == "memmap"


def test_another_process_gets_the_folder_not_its_content(exported) -> None:
    array = TokenArray(exported[0])
    content = pickle.dumps(array)
    assert len(content) < 1000
    again = pickle.loads(content)
    assert again[7].name == array[7].name


@pytest.mark.parametrize(("codes", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_large_codebooks_have_room_for_the_unresolved(codes, dtype, make_entry, tmp_path) -> None:
    chain = make_entry(3, codes=codes)
    save_tokens(tmp_path / "a.npz", [chain])
    export_tokens([tmp_path / "a.npz"], tmp_path / "out", to="memmap")
    row = TokenArray(tmp_path / "out")[0]
    assert row.tokens.dtype == dtype
    assert row.tokens.tolist() == np.where(chain.resolved, chain.ids, codes).tolist()


def test_chains_without_residues_alone(make_entry, tmp_path) -> None:
    save_tokens(tmp_path / "a.npz", [make_entry(0), make_entry(0, chain_id="B")])
    export_tokens([tmp_path / "a.npz"], tmp_path / "out", to="memmap")
    array = TokenArray(tmp_path / "out")
    assert [len(row.tokens) for row in array] == [0, 0]
    assert array.by_id("e0_B").name == "e0_B"
    array.verify()


def test_long_names_survive(make_entry, tmp_path) -> None:
    names = [f"{'长' * 2000}{number}" for number in range(3)]
    save_tokens(tmp_path / "a.npz", [make_entry(4, source=f"{name}.cif") for name in names])
    export_tokens([tmp_path / "a.npz"], tmp_path / "out", to="memmap")
    assert [row.name for row in TokenArray(tmp_path / "out")] == [f"{name}_A" for name in names]


def test_every_truncation_is_refused(exported) -> None:
    folder, _ = exported
    for path in sorted(folder.glob("*")):
        whole = path.read_bytes()
        for size in (0, 5, len(whole) // 2, len(whole) - 2):
            path.write_bytes(whole[:size])
            with pytest.raises(TokenFormatError, match=str(folder)):
                TokenArray(folder)
        path.unlink()
        with pytest.raises(TokenFormatError, match=path.name):
            TokenArray(folder)
        path.write_bytes(whole)


def test_a_damaged_byte_is_noticed_or_harmless(exported) -> None:
    folder, _ = exported
    for path in sorted(folder.glob("*.npy")):
        whole = path.read_bytes()
        for position in np.linspace(0, len(whole) - 1, 40).astype(int):
            damaged = bytearray(whole)
            damaged[position] ^= 0x55
            path.write_bytes(bytes(damaged))
            # Padding of a header, which says the same as before, is all that may pass.
            if position >= 128:
                with pytest.raises(TokenFormatError, match=str(folder)):
                    TokenArray(folder).verify()
            try:
                array = TokenArray(folder)
                names = [row.name for row in array]
                assert [array.row_of(name) for name in names]
            except (TokenFormatError, KeyError):
                pass
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "expected format, kind and version"),
        ({"kind": "foldseek"}, "expected format, kind and version"),
        ({"chains": 19}, "offsets.npy must hold 20 values, got 21"),
        ({"residues": "many"}, "residues must be a number, got 'many'"),
        ({"codebook_size": 70_000}, "tokens.npy must hold one dimension of uint32"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(change, message, exported) -> None:
    path = exported[0] / HEADER
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(TokenFormatError, match=message):
        TokenArray(exported[0])


def test_a_mask_that_contradicts_the_tokens_is_refused(exported) -> None:
    folder, _ = exported
    tokens = np.load(folder / "tokens.npy")
    tokens[0] = 5000
    np.save(folder / "tokens.npy", tokens)
    array = TokenArray(folder)
    with pytest.raises(TokenFormatError, match="row 1 contradict"):
        array[1]
    with pytest.raises(TokenFormatError, match=r"tokens\.npy does not fit its checksum"):
        array.verify()
