"""Does `provq-vision train` do what it is told, and say what it did?"""

import shutil

import pytest
import torch

from provq_protein.runs import checkpoint
from provq_protein.runs.loop import CHECKPOINT, MODEL
from provq_vision.cli import main
from provq_vision.model import ImageAutoencoder
from provq_vision.model.llamagen import CODES
from provq_vision.training.config import load_recipe

SHORT = [
    "steps=4",
    "curriculum.warmup_steps=2",
    "curriculum.transition_steps=1",
    "monitor.validate_every=4",
    "loss.adversarial_weight=0.0",
]


def _train(*words, settings=SHORT):
    line = ["train", "--recipe", "smoke", "--device", "cpu", *map(str, words)]
    for setting in settings:
        line += ["--set", setting]
    return main(line)


def _record(output):
    return checkpoint.load_document(output / MODEL / checkpoint.CONFIG)["training"]


def test_a_run_says_what_it_did_and_records_the_command(image_folder, tmp_path, capsys):
    output = tmp_path / "run"
    assert _train("--data", image_folder, "--output", output, "--preset", "simvq+provq") == 0
    told = capsys.readouterr().err
    assert "validation PSNR" in told
    assert f"trained 4 steps; the model is in {output / MODEL}" in told
    command = _record(output)["command"]
    assert "--preset simvq+provq" in command
    assert str(tmp_path) not in command
    assert ImageAutoencoder.load(output / MODEL).config.codebook.method == "simvq"


def test_the_same_command_goes_on(image_folder, tmp_path, capsys):
    words = ["--data", image_folder, "--output", tmp_path / "run"]
    assert _train(*words, settings=["steps=2", *SHORT[1:2], "curriculum.transition_steps=0"]) == 2
    assert "needs transition_steps of 1 or more" in capsys.readouterr().err
    assert _train(*words, "--minutes", "0.000001") == 0
    told = capsys.readouterr().err
    assert "stopped at step 1 of 4" in told
    assert _train(*words) == 0
    assert "resuming" in capsys.readouterr().err


def test_an_unreadable_image_is_named_and_makes_the_exit_code_1(image_folder, tmp_path, capsys):
    shutil.copytree(image_folder, tmp_path / "images")
    for broken in (tmp_path / "images" / "train" / "class0").glob("0*.png"):
        broken.write_bytes(b"no picture")
    assert _train("--data", tmp_path / "images", "--output", tmp_path / "run") == 1
    told = capsys.readouterr().err
    assert "class0/0" in told
    assert "another image was taken in its place" in told
    assert (tmp_path / "run" / MODEL).is_dir()


def test_classes_and_validation_images_can_be_named(image_folder, tmp_path):
    listed = tmp_path / "classes.txt"
    listed.write_text("class1 the second\n")
    words = ["--data", image_folder / "train", "--validation", image_folder / "val"]
    words += ["--classes", listed, "--output", tmp_path / "run"]
    assert _train(*words) == 0
    assert _record(tmp_path / "run")["training_images"] == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "nonsense"], "no such recipe"),
        (["--preset", "nonsense"], "preset: 'nonsense' is unknown"),
        (["--set", "data.batch=3"], "unknown key"),
        (["--classes", "absent.txt"], "absent.txt: cannot be read as a list of classes"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(
    image_folder, tmp_path, capsys, words, message
):
    assert _train("--data", image_folder, "--output", tmp_path / "run", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def _llamagen_file(path, preset):
    """Write random weights in LlamaGen's layout; return them."""
    config = load_recipe("smoke", SHORT, preset=preset)
    model = ImageAutoencoder.build(config.model, seed=7)
    state = {
        name: value for name, value in model.state_dict().items() if not name.startswith("quant")
    }
    state |= {f"quant_conv.{part}": getattr(model.quant_conv, part) for part in ("weight", "bias")}
    state = {name: value.detach().clone() for name, value in state.items()}
    state[CODES] = torch.randn(config.codebook.size, config.codebook.dim)
    torch.save({"model": state}, path)
    return state


@pytest.mark.parametrize(("preset", "codes"), [("vanilla_l2", True), ("vanilla_l2+provq", False)])
def test_a_run_can_start_from_weights_of_llamagen(image_folder, tmp_path, preset, codes):
    state = _llamagen_file(tmp_path / "llamagen.pt", preset)
    words = ["--data", image_folder, "--output", tmp_path / "run", "--preset", preset]
    words += ["--init", tmp_path / "llamagen.pt"]
    # So slow that the weights are still those of the file.
    assert _train(*words, settings=[*SHORT, "optimizer.learning_rate=1e-9"]) == 0
    ours = checkpoint.load_tensors(tmp_path / "run" / CHECKPOINT / checkpoint.WEIGHTS)
    name = "decoder.conv_out.weight"
    torch.testing.assert_close(ours[name], state[name], rtol=0, atol=1e-6)
    table = ours["quantizer.codebook.inner.table"]
    assert torch.allclose(table, state[CODES], atol=1e-6) == codes
    record = _record(tmp_path / "run")["initialized_from"]
    assert (record["file"], record["codes"]) == ("llamagen.pt", codes)
    assert len(record["sha256"]) == 64
