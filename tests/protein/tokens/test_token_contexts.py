"""Do token files say which ids were computed in sight of other chains?"""

import json

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.formats import FORMATS, load_tokens, save_tokens
from provq_protein.tokens.jsonl import to_json_line


@pytest.mark.parametrize("format", FORMATS)
def test_the_context_of_each_row_is_kept(format, make_chain, same, tmp_path) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    if format == "h5":
        pytest.importorskip("h5py", reason="needs the extra 'h5'")
    path = tmp_path / f"tokens.{format}"
    # The last one's name is no text, so that Parquet keeps it as JSON.
    chains = [
        make_chain(),
        make_chain(context="complex", mean_plddt=80.0),
        make_chain(context="complex", source="bad\udce9.pdb"),
    ]
    save_tokens(path, chains)
    same(load_tokens(path), chains)


def test_only_files_with_such_rows_are_of_a_version_that_older_releases_refuse(
    make_chain, tmp_path
) -> None:
    alone, together = make_chain(), make_chain(context="complex")
    for name, rows, version in (("1", [alone], 1), ("2", [alone, together], 2)):
        path = tmp_path / f"{name}.npz"
        save_tokens(path, rows)
        with np.load(path) as archive:
            assert archive["format_version"] == version
            assert ("context" in archive) == (version == 2)
    assert json.loads(to_json_line(alone))["format_version"] == 1
    assert "context" not in json.loads(to_json_line(alone))
    assert json.loads(to_json_line(together))["format_version"] == 2
    h5py = pytest.importorskip("h5py", reason="needs the extra 'h5'")
    save_tokens(tmp_path / "tokens.h5", [together])
    with h5py.File(tmp_path / "tokens.h5") as file:
        assert file.attrs["format_version"] == 2


def test_parquet_says_so_in_its_footer_and_reads_files_from_before(make_chain, tmp_path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    import pyarrow.parquet as pq

    path = tmp_path / "tokens.parquet"
    for rows, version in (([make_chain()], b"1"), ([make_chain(context="complex")], b"2")):
        save_tokens(path, rows, overwrite=True)
        assert pq.read_metadata(path).metadata[b"provq.format_version"] == version
    save_tokens(path, [make_chain()], overwrite=True)
    older = tmp_path / "older.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["context"]), older)
    assert [chain.context for chain in load_tokens(older)] == ["chain"]


def test_another_context_is_refused(make_chain, tmp_path) -> None:
    with pytest.raises(TokenFormatError, match="context must be one of chain, complex, got 'all'"):
        make_chain(context="all")
    path = tmp_path / "tokens.jsonl"
    record = json.loads(to_json_line(make_chain(context="complex")))
    path.write_text(json.dumps(record | {"context": 1}))
    with pytest.raises(TokenFormatError, match=r"line 1: .*context must be one of"):
        load_tokens(path)
