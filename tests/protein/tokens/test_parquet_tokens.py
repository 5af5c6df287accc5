"""Is a Parquet token file small, open to other programs, and refused when it is not intact?"""

import itertools

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.tokens import parquet as parquet_tokens
from provq_protein.tokens.formats import load_tokens, save_tokens
from provq_protein.tokens.parquet import ParquetTokens, iterate_parquet, write_parquet
from provq_protein.tokens.parquet_seal import check_seal

arrow = pytest.importorskip("pyarrow", reason="needs the extra provq[parquet]")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def small_groups(monkeypatch) -> None:
    """Have several row groups in a small file."""
    monkeypatch.setattr(parquet_tokens, "CHAINS_PER_ROW_GROUP", 7)


def test_other_programs_read_the_columns(make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    save_tokens(path, [make_chain(mean_plddt=91.5), make_chain(model=2, source="x/2abc.pdb.gz")])
    first, second = pq.read_table(path).to_pylist()
    assert first["id"] == "1abc_A"
    assert second["id"] == "2abc_A.2"
    assert first["tokens"] == [7, -1, 4095]
    assert first["resolved"] == [True, False, True]
    assert first["sequence"] == "MXG"
    assert first["residue_names"] == ["MSE", "UNK", None]  # GLY follows from G
    assert first["author_numbers"] == [-1, 52, 52]
    assert first["insertion_codes"] == ["", "", "A"]
    assert (first["mean_plddt"], second["mean_plddt"]) == (91.5, None)
    assert first["as_json"] is None


def test_the_footer_says_what_the_tokens_mean(make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    save_tokens(path, [make_chain(), make_chain(fingerprint="f" * 16)])
    stored = pq.read_schema(path).metadata
    assert stored[b"provq.format"] == b"provq-tokens"
    assert stored[b"provq.format_version"] == b"1"
    assert stored[b"provq.fingerprints"] == b'["0123456789abcdef", "ffffffffffffffff"]'
    assert stored[b"provq.codebook_sizes"] == b"[4096, 4096]"


def test_single_rows_are_read_across_row_groups(odd_chains, same, tmp_path, small_groups) -> None:
    path = tmp_path / "tokens.parquet"
    assert write_parquet(path, odd_chains) == len(odd_chains)
    with ParquetTokens(path) as file:
        assert len(file) == len(odd_chains)
        assert pq.ParquetFile(path).num_row_groups == 6
        same([file[row] for row in reversed(range(len(file)))], odd_chains[::-1])
        assert len(file.names()) == len(odd_chains)
        for row in (-1, len(odd_chains)):
            with pytest.raises(IndexError, match=f"no row {row}"):
                file[row]


def test_chains_stream_in_and_out(make_chain, tmp_path, small_groups) -> None:
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield make_chain(model=number + 1)

    path = tmp_path / "tokens.parquet"
    write_parquet(path, itertools.islice(endless(), 20))
    assert len(drawn) == 20
    chains = iterate_parquet(path)
    assert next(chains).model == 1
    assert [chain.model for chain in chains] == list(range(2, 21))


def test_the_bytes_do_not_depend_on_how_chains_came_in(odd_chains, tmp_path, small_groups) -> None:
    write_parquet(tmp_path / "a", odd_chains)
    write_parquet(tmp_path / "b", (chain for chain in odd_chains))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_text_that_is_no_unicode_survives(make_chain, same, tmp_path) -> None:
    odd = make_chain(source="bad\udce9.pdb", chain_id="\ud800", insertion_codes=("", "\udcff", "é"))
    save_tokens(tmp_path / "a.parquet", [odd, make_chain()])
    same(load_tokens(tmp_path / "a.parquet"), [odd, make_chain()])
    assert pq.read_table(tmp_path / "a.parquet")["source"].to_pylist()[0].startswith("bad")


def test_long_names_and_long_chains_survive(make_chain, same, tmp_path) -> None:
    size = 30_000
    chain = make_chain(
        ids=np.arange(size) % 4096,
        resolved=np.ones(size, bool),
        sequence="G" * size,
        residue_names=("GLY",) * size,
        author_numbers=np.arange(size) - 100,
        insertion_codes=("",) * size,
        label_numbers=np.arange(size) + 1,
        source=f"{'x' * 5000}.cif",
        chain_id="Y" * 3000,
    )
    save_tokens(tmp_path / "a.parquet", [chain])
    same(load_tokens(tmp_path / "a.parquet"), [chain])


def test_every_damaged_byte_is_refused_or_harmless(odd_chains, same, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    save_tokens(path, odd_chains[:3])
    whole = path.read_bytes()
    # The footer is where a damaged byte would do most harm; few bytes are enough elsewhere.
    footer = whole.rindex(b"provq-seal")
    positions = [*range(4, footer, 97), *range(footer, len(whole), 13)]
    refused = 0
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        path.write_bytes(bytes(damaged))
        try:
            same(load_tokens(path), odd_chains[:3])
        except TokenFormatError as error:
            refused += 1
            assert str(path) in str(error)
    # Only the mark of the checksums themselves may be damaged unnoticed.
    assert refused >= len(positions) - 1


def test_a_damaged_page_is_refused_when_one_chain_is_read(odd_chains, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    chain = odd_chains[2]
    save_tokens(path, [chain])
    whole = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    last = column.data_page_offset + column.total_compressed_size - 1
    path.write_bytes(whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :])
    with ParquetTokens(path) as file, pytest.raises(TokenFormatError, match=r"damaged.*CRC"):
        file[0]
    with pytest.raises(TokenFormatError, match="checksum"):
        load_tokens(path)


def rewritten(path, change, **metadata) -> None:
    """Write the file again without checksums of ours, as another program would."""
    table = pq.read_table(path)
    stored = {
        **table.schema.metadata,
        **{f"provq.{key}".encode(): value for key, value in metadata.items()},
    }
    table = change(table).replace_schema_metadata(stored)
    pq.write_table(table, path)


def test_what_another_program_wrote_is_read_if_it_is_whole(make_chain, same, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    save_tokens(path, [make_chain(), make_chain(model=2)])
    assert check_seal(path)
    rewritten(path, lambda table: table.slice(1))
    assert not check_seal(path)
    same(load_tokens(path), [make_chain(model=2)])


def tokens_of(values):
    def change(table):
        column = arrow.array([values], type=table.schema.field("tokens").type)
        return table.set_column(1, table.schema.field("tokens"), column)

    return change


@pytest.mark.parametrize(
    ("change", "metadata", "message"),
    [
        (
            lambda table: table,
            {"format_version": "3"},
            "version 3 is unknown.*versions 1 and 2",
        ),
        (lambda table: table, {"format_version": "1.0"}, "version '1.0' is unknown"),
        (lambda table: table, {"format": "other"}, "format is 'other'"),
        (lambda table: table.drop_columns(["tokens"]), {}, "tokens must be list.*got none"),
        (lambda table: table.rename_columns({"model": "x"}), {}, "model must be int32, got none"),
        (tokens_of([7, -1, 4096]), {}, "id must be in"),
        (tokens_of([7, -1]), {}, "2 ids but resolved has length 3"),
    ],
)
def test_an_inconsistent_table_is_refused(change, metadata, message, make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    save_tokens(path, [make_chain()])
    rewritten(path, change, **metadata)
    with pytest.raises(TokenFormatError, match=rf"tokens\.parquet: .*{message}"):
        load_tokens(path)


def test_a_null_name_needs_a_letter_that_implies_it(make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.parquet"
    save_tokens(path, [make_chain()])

    def change(table):
        field = table.schema.field("residue_names")
        return table.set_column(4, field, arrow.array([["MSE", None, None]], type=field.type))

    rewritten(path, change)
    with pytest.raises(TokenFormatError, match="residue_names is null at 'X'"):
        load_tokens(path)


def test_another_table_is_no_token_file(tmp_path) -> None:
    pq.write_table(arrow.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(TokenFormatError, match=r"other\.parquet: not a token file"):
        load_tokens(tmp_path / "other.parquet")
    (tmp_path / "half.parquet").write_bytes(b"PAR1")
    with pytest.raises(TokenFormatError, match="does not end with a footer"):
        load_tokens(tmp_path / "half.parquet")
