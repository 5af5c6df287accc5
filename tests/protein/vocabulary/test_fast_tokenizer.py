"""Does transformers open a saved vocabulary, offline, and agree with it about every id?"""

import numpy as np
import pytest

from provq_protein.errors import MissingExtraError, TokenFormatError
from provq_protein.vocabulary import fast_tokenizer
from provq_protein.vocabulary.vocabulary import Vocabulary

NAMES = [("esm3", 4096), ("offset:3", 30), ("offset:7", 4096), ("saprot", 12), ("strings", 5000)]


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("tokenizers", reason="needs the extra provq[plm]")
    return pytest.importorskip("transformers", reason="needs the extra provq[plm]")


@pytest.mark.parametrize(("name", "size"), NAMES)
def test_the_saved_tokenizer_agrees(transformers, tmp_path, monkeypatch, name, size) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    vocabulary = Vocabulary.named(name, codebook_size=size)
    vocabulary.save_pretrained(tmp_path / "made" / "here")
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path / "made" / "here")
    assert isinstance(opened, transformers.PreTrainedTokenizerFast)
    assert len(opened) == len(vocabulary)
    assert tuple(opened.convert_ids_to_tokens(range(len(vocabulary)))) == vocabulary.texts
    assert set(opened.all_special_ids) == set(vocabulary.special.values())
    for role in {"bos", "eos", "pad", "mask", "unk"} & set(vocabulary.special):
        assert getattr(opened, f"{role}_token_id") == vocabulary.special[role]
    codes = np.random.default_rng(2).integers(0, size, 60)
    codes[5] = -1
    encoded = vocabulary.codes_to_ids(codes, sequence="ACX" * 20, unresolved="token:pad")
    text = vocabulary.to_text(encoded.ids[1:-1])
    # With the ends, without them, and with white space between tokens.
    assert opened(text)["input_ids"] == encoded.ids.tolist()
    assert opened(text, add_special_tokens=False)["input_ids"] == encoded.ids[1:-1].tolist()
    spaced = " ".join(vocabulary.texts[id] for id in encoded.ids[1:-1])
    assert opened(spaced)["input_ids"] == encoded.ids.tolist()
    assert opened.decode(encoded.ids.tolist()) == vocabulary.to_text(encoded.ids)


def test_batches_are_padded_with_the_pad_token(transformers, tmp_path) -> None:
    Vocabulary.named("esm3", codebook_size=4096).save_pretrained(tmp_path)
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path)
    batch = opened(["AAAB", "AA"], padding=True, return_tensors="np")
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["input_ids"].tolist() == [[4098, 0, 1, 4097], [4098, 0, 4097, 4099]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_text_that_is_no_token_is_an_error_or_unknown(transformers, tmp_path) -> None:
    Vocabulary.named("esm3", codebook_size=4096).save_pretrained(tmp_path / "a")
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path / "a")
    with pytest.raises(Exception, match="WordLevel"):
        opened("AAA")
    Vocabulary.named("strings", codebook_size=4096).save_pretrained(tmp_path / "b")
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path / "b")
    assert opened("AAA")["input_ids"] == [0, 5, 3, 2]


def test_tokenizer_files_are_kept_unless_told_otherwise(transformers, tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    Vocabulary.named("esm3", codebook_size=20).save_pretrained(tmp_path)
    before = (tmp_path / "tokenizer.json").read_bytes()
    other = Vocabulary.named("strings", codebook_size=20)
    with pytest.raises(TokenFormatError, match=r"has tokenizer.json and tokenizer_config.json"):
        other.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == before
    other.save_pretrained(tmp_path, overwrite=True)
    assert len(transformers.AutoTokenizer.from_pretrained(tmp_path)) == len(other)
    # The model beside it stays, and nothing unfinished does.
    assert (tmp_path / "config.json").read_text() == "{}"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_refused(transformers, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenFormatError, match="file: cannot be written"):
        Vocabulary.named("esm3", codebook_size=20).save_pretrained(tmp_path / "file")


def test_an_absent_package_is_named_with_its_extra(monkeypatch, tmp_path) -> None:
    def absent(module: str, *, extra: str, purpose: str) -> None:
        msg = f"{purpose} needs {module}, provq[{extra}]"
        raise MissingExtraError(msg)

    monkeypatch.setattr(fast_tokenizer, "require_extra", absent)
    with pytest.raises(MissingExtraError, match=r"provq\[plm\]"):
        Vocabulary.named("esm3", codebook_size=20).save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_tokenizer_file_is_enough_for_the_package_tokenizers(tmp_path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra provq[plm]")
    vocabulary = Vocabulary.named("esm3", codebook_size=4096)
    vocabulary.save_pretrained(tmp_path)
    opened = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = vocabulary.codes_to_ids([5, -1, 4095]).ids.tolist()
    assert opened.encode("AF<mask>__").ids == ids
    assert opened.decode(ids) == "AF__"
