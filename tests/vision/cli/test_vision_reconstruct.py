"""Does `reconstruct` show original, reconstruction and difference, and print the right PSNR?"""

import math

import numpy as np
import pytest

from provq_vision.images.crops import center_crop
from provq_vision.images.decoding import decode_image
from provq_vision.tokenizer import ImageTokenizer


def read(path):
    return decode_image(path.read_bytes(), name=str(path))


def test_the_picture_has_a_row_per_image(run, photos, model_folder, tmp_path):
    out = tmp_path / "picture.png"
    given = [photos / "b.png", photos / "a.png"]
    answer = run("reconstruct", *given, "--model", model_folder, "-o", out)
    assert answer.code == 0
    picture = read(out)
    assert picture.shape == (16 + 2 + 16, 3 * 16 + 2 * 2, 3)
    tokenizer = ImageTokenizer.from_pretrained(model_folder)
    scores = []
    for row, path in enumerate(given):
        original = center_crop(read(path), 16)
        (decoded,) = tokenizer.decode(tokenizer.encode([original]))
        cells = [
            picture[18 * row : 18 * row + 16, 18 * column : 18 * column + 16] for column in range(3)
        ]
        assert np.array_equal(cells[0], original)
        assert np.array_equal(cells[1], decoded)
        gap = decoded.astype(int) - original
        assert np.array_equal(cells[2], np.clip(128 + gap, 0, 255))
        scores.append(10 * math.log10(255**2 / (gap**2).mean()))
    assert answer.out.splitlines() == [
        f"{scores[0]:6.2f} dB  {given[0]}",
        f"{scores[1]:6.2f} dB  {given[1]}",
        f"{sum(scores) / 2:6.2f} dB  mean of 2 images",
    ]
    assert answer.err == (
        f"2 images reconstructed to {out}: original, reconstruction, difference\n"
    )


def test_bad_images_are_rows_and_the_others_make_the_picture(
    run, photos, bad_images, model_folder, tmp_path
):
    out = tmp_path / "picture.png"
    answer = run("reconstruct", *bad_images, photos / "a.png", "--model", model_folder, "-o", out)
    assert answer.code == 1
    assert read(out).shape == (16, 52, 3)
    assert len(answer.out.splitlines()) == 1
    rows = answer.err.splitlines()
    assert [row.split(": ")[0] for row in rows[:-1]] == list(map(str, bad_images))
    assert rows[-1].startswith("1 of 4 images ")
    assert rows[-1].endswith("4 problems, listed above")


def test_where_nothing_is_encoded_nothing_is_written(run, bad_images, model_folder, tmp_path):
    out = tmp_path / "picture.png"
    answer = run("reconstruct", *bad_images, "--model", model_folder, "-o", out)
    assert (answer.code, answer.out) == (1, "")
    assert "so nothing was written" in answer.err
    assert not out.exists()


def test_more_images_than_a_picture_shows_need_a_limit(
    run, photos, model_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("provq_vision.cli.reconstruct._MOST", 3)
    out = tmp_path / "picture.png"
    line = ("reconstruct", photos, "--model", model_folder, "-o", out)
    answer = run(*line)
    assert answer.code == 2
    assert "4 images are too many for one picture" in answer.err
    assert "--limit" in answer.err
    assert not out.exists()
    answer = run(*line, "--limit", 2)
    assert answer.code == 0
    assert "2 of 4 images reconstructed" in answer.err
    # Spread evenly: a set is sorted by class.
    names = [line.split()[-1] for line in answer.out.splitlines()[:2]]
    assert names == ["a.png", "c.png"]
    assert read(out).shape == (34, 52, 3)


def test_an_existing_picture_is_kept_unless_asked(run, photos, model_folder, tmp_path):
    out = tmp_path / "picture.png"
    out.write_text("mine")
    line = ("reconstruct", photos, "--model", model_folder, "-o", out)
    assert run(*line).code == 2
    assert out.read_text() == "mine"
    assert run(*line, "--overwrite").code == 0
    assert read(out).shape[1] == 52


@pytest.mark.parametrize("size", [8, 20])
def test_the_size_can_be_chosen(run, size, photos, model_folder, tmp_path):
    out = tmp_path / "picture.png"
    answer = run(
        "reconstruct", photos / "a.png", "--model", model_folder, "-o", out, "--size", size
    )
    assert answer.code == 0
    assert read(out).shape == (size, 3 * size + 4, 3)
