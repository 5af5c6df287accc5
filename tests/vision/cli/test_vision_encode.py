"""Does `encode` write what it can, report what it cannot, and say so in its exit code?"""

import io
import sys
import tarfile

import numpy as np
import pytest

from provq_vision.images.crops import center_crop
from provq_vision.images.decoding import decode_image
from provq_vision.tokenizer import ImageTokenizer
from provq_vision.tokens import ImageTokens


def test_images_are_encoded_in_the_order_of_the_command_line(run, photos, model_folder, tmp_path):
    given = [photos / "c.png", photos / "a.png", photos / "c.png", photos / "b.png"]
    out = tmp_path / "tokens.npz"
    answer = run("encode", *given, "--model", model_folder, "-o", out)
    assert (answer.code, answer.out) == (0, "")
    tokens = ImageTokens.load(out)
    used = len(np.unique(tokens.ids))
    assert answer.err == (
        f"4 images encoded to {out}: 8 x 8 tokens each, of 16 x 16 pixels; "
        f"{used} of 16 codes used\n"
    )
    assert tokens.names == tuple(map(str, given))
    assert tokens.labels.tolist() == [-1] * 4
    tokenizer = ImageTokenizer.from_pretrained(model_folder)
    for path, ids in zip(given, tokens.ids, strict=True):
        pixels = center_crop(decode_image(path.read_bytes(), name="x"), 16)
        assert np.array_equal(ids, tokenizer.encode_pixels(pixels))
    assert tokens.fingerprint == tokenizer.fingerprint


def as_tar(folder, path):
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=folder.name)
    return path


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_split_of_a_folder_or_tar_keeps_names_and_classes(
    run, kind, splits, model_folder, tmp_path
):
    given = splits if kind == "folder" else as_tar(splits, tmp_path / "images.tar")
    out = tmp_path / "tokens.npz"
    answer = run("encode", given, "--split", "val", "--model", model_folder, "-o", out)
    assert answer.code == 0, answer.err
    tokens = ImageTokens.load(out)
    assert tokens.names == ("cat/2.png", "dog/3.png")
    assert tokens.classes == ("cat", "dog")
    assert tokens.labels.tolist() == [0, 1]


def test_bad_images_are_rows_and_the_others_are_encoded(
    run, photos, bad_images, model_folder, tmp_path
):
    given = [photos / "b.png", *bad_images, photos / "a.png"]
    out = tmp_path / "tokens.npz"
    answer = run("encode", *given, "--model", model_folder, "-o", out)
    assert answer.code == 1
    assert ImageTokens.load(out).names == (str(photos / "b.png"), str(photos / "a.png"))
    *rows, summary = answer.err.splitlines()
    assert [row.split(": ")[0] for row in rows] == list(map(str, bad_images))
    assert all(len(row.split(": ", 1)[1]) > 5 for row in rows)
    assert summary.startswith("2 images encoded")
    assert summary.endswith("; 4 problems, listed above")


def test_bad_images_within_a_folder_are_rows(run, bad_images, photos, model_folder, tmp_path):
    for path in bad_images[1:]:
        path.rename(photos / path.name)
    answer = run("encode", photos, "--model", model_folder, "-o", tmp_path / "t.npz")
    assert answer.code == 1
    rows = answer.err.splitlines()[:-1]
    assert [row.split(": ")[0] for row in rows] == ["empty.png", "text.jpg", "truncated.png"]
    assert len(ImageTokens.load(tmp_path / "t.npz")) == 4


def test_a_name_with_a_line_break_stays_one_row(run, model_folder, tmp_path):
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        member = tarfile.TarInfo("bad\nname.png")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"none"))
    answer = run("encode", tmp_path / "images.tar", "--model", model_folder, "-o", tmp_path / "t")
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 2
    assert answer.err.startswith(r"'bad\nname.png': ")


@pytest.mark.parametrize("given", ["absent.png", "bad"])
def test_where_nothing_is_encoded_nothing_is_written(
    run, given, bad_images, model_folder, tmp_path
):
    answer = run("encode", tmp_path / given, "--model", model_folder, "-o", tmp_path / "t.npz")
    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith("0 images encoded, so nothing was written")
    assert not (tmp_path / "t.npz").exists()


def test_an_existing_file_is_kept_unless_asked_and_known_before_encoding(
    run, photos, model_folder, tmp_path
):
    out = tmp_path / "t.npz"
    out.write_text("mine")
    # Refused before the model is loaded: it does not exist.
    answer = run("encode", photos, "--model", tmp_path / "nowhere", "-o", out)
    assert answer.code == 2
    assert f"{out}: exists" in answer.err
    assert out.read_text() == "mine"
    answer = run("encode", photos, "--model", model_folder, "-o", out, "--overwrite")
    assert answer.code == 0
    assert len(ImageTokens.load(out)) == 4


def test_the_size_is_that_of_training_or_must_be_given(
    run, photos, model_folder, other_model_folder, tmp_path
):
    out = tmp_path / "t.npz"
    answer = run("encode", photos, "--model", other_model_folder, "-o", out)
    assert answer.code == 2
    assert "--size" in answer.err
    answer = run("encode", photos, "--model", other_model_folder, "-o", out, "--size", 13)
    assert answer.code == 2
    assert "expected a multiple of 2 pixels" in answer.err
    assert not out.exists()
    answer = run("encode", photos, "--model", other_model_folder, "-o", out, "--size", 12)
    assert answer.code == 0
    assert ImageTokens.load(out).grid == (6, 6)


def test_progress_is_shown_on_a_terminal_only(run, photos, model_folder, tmp_path, monkeypatch):
    line = ("encode", photos, "--model", model_folder, "--overwrite", "-o", tmp_path / "t.npz")
    assert "encoding" not in run(*line).err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert run(*line).code == 0
    assert "encoding" in screen.getvalue()
    assert "4/4" in screen.getvalue()


def test_real_images_come_from_an_archive(run, shared_data, model_folder, tmp_path):
    archive = shared_data / "images" / "imagenet_samples_1000.tar"
    if not archive.is_file():
        pytest.skip(f"no archive of real images at {archive}")
    with tarfile.open(archive) as source, tarfile.open(tmp_path / "few.tar", "w") as few:
        members = (member for member in source if member.isfile())
        for _ in range(5):
            member = next(members)
            few.addfile(member, source.extractfile(member))
    out = tmp_path / "t.npz"
    answer = run("encode", tmp_path / "few.tar", "--model", model_folder, "-o", out, "--size", 32)
    assert answer.code == 0, answer.err
    tokens = ImageTokens.load(out)
    assert tokens.ids.shape == (5, 16, 16)
    assert all(label >= 0 for label in tokens.labels)
