"""Does `provq-vision sample` draw what its options say, and refuse what they cannot mean?"""

import argparse

import numpy as np
import pytest

from provq_protein.errors import ConfigError, ProvqError
from provq_vision.cli import sample as command
from provq_vision.drawing import draw
from provq_vision.generation import TrainedGpt
from provq_vision.generation.choosing import Sampling
from provq_vision.images.decoding import decode_image
from provq_vision.samples import DrawPlan, SampleSet


@pytest.fixture
def run(gpt_folder, tokenizer_folder, tmp_path):
    """Return a function that carries out `sample` on the tiny models, into out.npz."""

    def call(*options, gpt=gpt_folder):
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        given = ["--gpt", gpt, "--model", tokenizer_folder, "-o", tmp_path / "out.npz", *options]
        args = parser.parse_args(["sample", *map(str, given)])
        return args.run(args)

    return call


def test_the_file_holds_what_python_draws(run, gpt, tokenizer, tmp_path, capsys):
    given = "--guidance 2 --temperature 0.8 --top-k 9 --top-p 0.9 --seed 7 --width 4"
    assert run("--count", 6, "--classes", "dog", 0, "--shard", "2/2", *given.split()) == 0
    found = SampleSet.load(tmp_path / "out.npz")
    expected = draw(
        gpt,
        tokenizer,
        DrawPlan(classes=[3, 0], count=6, seed=7, shard=1, shards=2),
        sampling=Sampling(guidance=2.0, temperature=0.8, top_k=9, top_p=0.9),
        width=4,
    )
    assert found.settings == expected.settings
    assert np.array_equal(found.images, expected.images)
    assert np.array_equal(found.ids, expected.ids)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"3 images drawn to {tmp_path / 'out.npz'}: part 2 of 2, 8 x 8 pixels, guidance 2, seed 7\n"
    )


def test_by_default_all_classes_are_drawn_plainly(run, tmp_path):
    assert run("--per-class", 1) == 0
    found = SampleSet.load(tmp_path / "out.npz")
    assert found.labels.tolist() == [0, 1, 2, 3, 4]
    settings = found.settings
    assert (settings.guidance, settings.temperature, settings.top_k, settings.top_p) == (1, 1, 0, 1)
    assert (settings.width, settings.plan.seed, settings.plan.shards) == (16, 0, 1)


@pytest.mark.parametrize(
    ("options", "rows", "columns"),
    [(("--per-class", 2), 5, 2), (("--per-class", 1), 1, 5), (("--count", 13), 2, 10)],
)
def test_the_picture_shows_the_images_in_order(run, tmp_path, options, rows, columns):
    assert run(*options, "--picture", tmp_path / "p.png") == 0
    images = SampleSet.load(tmp_path / "out.npz").images
    picture = decode_image((tmp_path / "p.png").read_bytes(), name="p.png")
    assert picture.shape == (rows * 10 - 2, columns * 10 - 2, 3)
    for number, image in enumerate(images):
        top, left = (10 * place for place in divmod(number, columns))
        assert np.array_equal(picture[top : top + 8, left : left + 8], image)


def test_the_picture_shows_a_hundred_images_at_most(run, tmp_path):
    assert run("--count", 103, "--picture", tmp_path / "p.png") == 0
    assert decode_image((tmp_path / "p.png").read_bytes(), name="p.png").shape == (98, 98, 3)
    assert len(SampleSet.load(tmp_path / "out.npz")) == 103


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--count", 0), "count: must be an integer from 1"),
        (("--per-class", -1), "per_class: must be an integer from 1"),
        (("--count", 4, "--shard", "1/5"), "an image or more in each"),
        (("--count", 4, "--guidance", 0), "--guidance: must be above 0, got 0; .* from Python"),
        (("--count", 4, "--guidance", -2), "--guidance: must be above 0, got -2"),
        (("--count", 4, "--guidance", "nan"), "--guidance: must be above 0, got nan"),
        (("--count", 4, "--guidance", "inf"), "guidance: must be"),
        (("--count", 4, "--temperature", 0), "temperature: must be a number above 0"),
        (("--count", 4, "--top-k", -1), "top_k: must be"),
        (("--count", 4, "--top-p", 0), "top_p: must be"),
        (("--count", 4, "--width", 0), "width: must be"),
        (("--count", 4, "--seed", -1), "seed: must be"),
        (("--count", 4, "--classes", "emu"), "class 'emu': the model knows no such class"),
        (("--count", 4, "--classes", 5), "class '5': .* ids from 0 to 4"),
        (("--count", 4, "--classes", "dog", 3), "each once"),
        (("--count", 4, "--device", "nonsense"), "device 'nonsense': cannot be used"),
    ],
)
def test_impossible_options_are_refused_and_nothing_is_written(run, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        run(*options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--count", 4, "--per-class", 1),
        ("--count", "many"),
        ("--count", 4, "--shard", "1"),
        ("--count", 4, "--shard", "1/x"),
        ("--count", 4, "--shard", "0/2"),
        ("--count", 4, "--shard", "3/2"),
    ],
)
def test_a_wrong_command_line_ends_with_2(run, capsys, options):
    with pytest.raises(SystemExit, match="2"):
        run(*options)
    assert "usage:" in capsys.readouterr().err


def test_models_that_do_not_belong_together_are_refused(run, gpt, tmp_path):
    TrainedGpt(gpt.model, "f" * 16).save(tmp_path / "gpt")
    with pytest.raises(ProvqError, match=f"fingerprint {'f' * 16}, but this one has"):
        run("--count", 4, gpt=tmp_path / "gpt")
    assert [each.name for each in tmp_path.iterdir()] == ["gpt"]


def test_outputs_are_kept_unless_asked(run, tmp_path):
    out, picture = tmp_path / "out.npz", tmp_path / "p.png"
    out.write_text("mine")
    with pytest.raises(ConfigError, match=r"out\.npz: exists"):
        run("--count", 1)
    assert run("--count", 1, "--overwrite") == 0
    picture.write_text("mine")
    out.unlink()
    with pytest.raises(ConfigError, match=r"p\.png: exists"):
        run("--count", 1, "--picture", picture)
    assert not out.exists()
    with pytest.raises(ConfigError, match="is the file of the images"):
        run("--count", 1, "--picture", out)
    with pytest.raises(ConfigError, match="does not exist"):
        run("--count", 1, "--picture", tmp_path / "nowhere" / "p.png")
