"""Do ids survive as text, and is text that is not intact refused?"""

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.text import (
    ALPHABET,
    UNRESOLVED_SYMBOL,
    characters_per_token,
    from_fixed_width,
    read_fasta,
    to_fixed_width,
    to_record,
    write_fasta,
)


def test_the_text_is_what_the_docs_show(make_chain) -> None:
    ints, fixed = (to_record("1abc_A", make_chain(), style=style) for style in ("ints", "fixed"))
    header, body = ints.splitlines()
    assert header.startswith(">1abc_A provq=ints residues=3 codes=4096 crc32=")
    assert header.endswith("fingerprint=0123456789abcdef")
    assert body == "7 -1 4095"
    assert fixed.splitlines()[1] == "AH..__"


@pytest.mark.parametrize("style", ["ints", "fixed"])
def test_ids_and_mask_survive(style, odd_chains, tmp_path) -> None:
    path = tmp_path / "tokens.fasta"
    names = [f"{number}_{'x' * 300}" for number in range(len(odd_chains))]
    assert write_fasta(path, zip(names, odd_chains, strict=True), style=style) == len(names)
    found = read_fasta(path)
    assert [record.name for record in found] == names
    for record, chain in zip(found, odd_chains, strict=True):
        np.testing.assert_array_equal(record.ids, chain.ids)
        np.testing.assert_array_equal(record.resolved, chain.resolved)
        assert record.ids.dtype == np.int32
        assert (record.fingerprint, record.codebook_size) == (chain.fingerprint, 4096)


def test_styles_mix_and_files_concatenate(make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.fasta"
    text = to_record("a", make_chain()) + "\n" + to_record("b", make_chain(), style="fixed")
    path.write_text(text.replace("7 -1 4095", "7 -1\n4095"))
    assert [record.ids.tolist() for record in read_fasta(path)] == [[7, -1, 4095]] * 2
    path.write_text("")
    assert read_fasta(path) == []


@pytest.mark.parametrize("codes", [1, 20, 64, 65, 4096, 4097, 2**18])
def test_every_code_has_its_own_text_and_absence_another(codes) -> None:
    ids = np.unique(np.linspace(0, codes - 1, 5000).astype(np.int32))
    ids = np.append(ids, np.int32(-1))
    text = to_fixed_width(ids, codes)
    width = characters_per_token(codes)
    words = {text[start : start + width] for start in range(0, len(text), width)}
    assert len(words) == len(ids)
    assert UNRESOLVED_SYMBOL * width in words
    assert sum(UNRESOLVED_SYMBOL in word for word in words) == 1
    assert UNRESOLVED_SYMBOL not in ALPHABET
    assert ">" not in ALPHABET
    assert from_fixed_width(text, codes).tolist() == ids.tolist()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("7 -1 4095", "7 -1 4094", "truncated or damaged"),
        ("7 -1 4095", "7 -1", "truncated or damaged: .* 3 residues .* got 2"),
        ("7 -1 4095", "7 -1 4096", "token 3 must be in"),
        ("7 -1 4095", "7 -2 4095", "token 2 must be in"),
        ("7 -1 4095", "7 -1 4o95", "expected integers"),
        ("7 -1 4095", f"7 -1 {10**30}", "expected integers"),
        ("AH..__", "AH.._", "2 characters per token"),
        ("AH..__", "AH.A__", r"token 2 is '.A', no code"),
        ("AH..__", "AH..é_", "no code"),
        ("AH..__", "AI..__", "truncated or damaged"),
        ("provq=ints", "provq=words", "provq=words is unknown"),
        ("codes=4096", "codes=many", "codes must be an integer"),
        (" codes=4096", "", "lacks codes"),
        (">a ", "> ", "lacks a name"),
    ],
)
def test_damaged_text_is_refused_with_its_line(old, new, message, make_chain, tmp_path) -> None:
    path = tmp_path / "tokens.fasta"
    style = "fixed" if old == "AH..__" else "ints"
    text = to_record("a", make_chain(), style=style)
    assert old in text
    path.write_text("\n" + text.replace(old, new), encoding="utf-8")
    with pytest.raises(TokenFormatError, match=rf"tokens\.fasta: line 2: .*{message}"):
        read_fasta(path)


def test_what_is_no_such_text_is_refused(tmp_path) -> None:
    for name, content in {"a": b"hello\n", "b": b">a\nMKV\n", "c": b"\xff\xfe"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TokenFormatError, match=str(tmp_path / name)):
            read_fasta(tmp_path / name)
    with pytest.raises(TokenFormatError, match="cannot be read: No such file"):
        read_fasta(tmp_path / "absent")


def test_a_fingerprint_that_would_break_the_header_is_refused(make_chain) -> None:
    with pytest.raises(TokenFormatError, match="cannot hold the fingerprint"):
        to_record("a", make_chain(fingerprint="two words"))
