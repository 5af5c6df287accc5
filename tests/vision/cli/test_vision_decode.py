"""Does `decode` write the picture of each image where its user finds it, and nothing else?"""

import numpy as np
import pytest

from provq_vision.images.decoding import decode_image
from provq_vision.tokenizer import ImageTokenizer
from provq_vision.tokens import ImageTokens


@pytest.fixture
def tokens_file(run, splits, photos, model_folder, tmp_path):
    """Return the tokens of a split, a file given twice, and a file of the same name."""
    out = tmp_path / "tokens.npz"
    given = (photos / "a.png", splits / "val", photos / "a.png")
    assert run("encode", *given, "--model", model_folder, "-o", out).code == 0
    return out


def test_each_image_becomes_the_picture_that_the_tokenizer_decodes(
    run, tokens_file, model_folder, tmp_path
):
    folder = tmp_path / "new" / "pictures"
    answer = run("decode", tokens_file, "--model", model_folder, "-o", folder)
    assert (answer.code, answer.out) == (0, "")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == ["a-2.png", "a.png", "cat/2.png", "dog/3.png"]
    assert answer.err.splitlines()[-1] == f"4 images decoded to {folder}"
    # The one that is not called as its image is.
    assert answer.err.startswith(f"{folder / 'a-2.png'}: ")
    tokens = ImageTokens.load(tokens_file)
    decoded = ImageTokenizer.from_pretrained(model_folder).decode(tokens)
    for name, pixels in zip(["a.png", "cat/2.png", "dog/3.png", "a-2.png"], decoded, strict=True):
        found = decode_image((folder / name).read_bytes(), name=name)
        assert np.array_equal(found, pixels)


def test_pictures_are_kept_unless_asked(run, tokens_file, model_folder, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.png").write_text("mine")
    answer = run("decode", tokens_file, "--model", model_folder, "-o", folder)
    assert answer.code == 2
    assert f"{folder / 'a.png'}: exists" in answer.err
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert (folder / "a.png").read_text() == "mine"
    assert (
        run("decode", tokens_file, "--model", model_folder, "-o", folder, "--overwrite").code == 0
    )
    answer = run("decode", tokens_file, "--model", model_folder, "-o", folder / "a.png")
    assert answer.code == 2
    assert "is not a folder" in answer.err


def test_tokens_of_another_model_are_refused(
    run, tokens_file, other_model_folder, model_folder, tmp_path
):
    answer = run("decode", tokens_file, "--model", other_model_folder, "-o", tmp_path / "out")
    assert answer.code == 1
    assert answer.err.startswith(f"{tokens_file}: tokens of the model with fingerprint ")
    assert ImageTokens.load(tokens_file).fingerprint in answer.err
    assert not (tmp_path / "out").exists()


def test_a_damaged_token_file_ends_with_1(run, model_folder, tmp_path):
    (tmp_path / "t.npz").write_text("no tokens")
    answer = run("decode", tmp_path / "t.npz", "--model", model_folder, "-o", tmp_path / "out")
    assert answer.code == 1
    assert answer.err.startswith(f"{tmp_path / 't.npz'}: is no, or a truncated, .npz file")


@pytest.mark.parametrize(
    ("name", "class_name", "expected"),
    [
        ("../../etc/passwd.png", "..", "class/passwd.png"),
        ("/etc/passwd", "/etc", "_etc/passwd.png"),
        ("C:\\photos\\cat.JPEG", "a/b", "a_b/cat.png"),
        (".hidden.png", "x", "x/hidden.png"),
        ("..", "x", "x/image.png"),
        ("two words\n?.webp", "x", "x/two_words__.png"),
        ("archive.tar", "x", "x/archive.tar.png"),
    ],
)
def test_no_name_leads_out_of_the_folder(run, name, class_name, expected, model_folder, tmp_path):
    tokenizer = ImageTokenizer.from_pretrained(model_folder)
    tokens = ImageTokens(
        ids=np.zeros((1, 2, 2), int),
        names=(name,),
        labels=[0],
        classes=(class_name,),
        fingerprint=tokenizer.fingerprint,
        codebook_size=16,
    )
    tokens.save(tmp_path / "t.npz")
    folder = tmp_path / "deep" / "out"
    assert run("decode", tmp_path / "t.npz", "--model", model_folder, "-o", folder).code == 0
    written = list(tmp_path.rglob("*.png"))
    assert [path.relative_to(folder).as_posix() for path in written] == [expected]


def test_an_image_that_cannot_be_decoded_is_a_row(
    run, tokens_file, model_folder, tmp_path, monkeypatch
):
    decode = ImageTokenizer.decode_ids
    calls = []

    def failing(self, ids):
        calls.append(ids)
        if len(calls) == 2:
            msg = "out of memory"
            raise RuntimeError(msg)
        return decode(self, ids)

    monkeypatch.setattr(ImageTokenizer, "decode_ids", failing)
    answer = run("decode", tokens_file, "--model", model_folder, "-o", tmp_path / "out")
    assert answer.code == 1
    assert "cat/2.png: unexpected RuntimeError: out of memory" in answer.err
    assert answer.err.splitlines()[-1].startswith("3 images decoded")
