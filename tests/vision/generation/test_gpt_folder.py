"""Weights of autoregressive models: our folders, and what LlamaGen released."""

import argparse
import dataclasses
import json

import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError, TokenFormatError
from provq_protein.runs import checkpoint
from provq_vision.generation import Gpt, TrainedGpt
from provq_vision.generation.llamagen import load_llamagen_gpt, read_llamagen_gpt

TOKENIZER = "0123456789abcdef"


@pytest.fixture
def folder(model, tmp_path):
    """Return a saved model."""
    TrainedGpt(model, TOKENIZER, {"steps": 7}).save(tmp_path / "gpt")
    return tmp_path / "gpt"


def edit(folder, change):
    """Change the document of a folder."""
    document = json.loads((folder / checkpoint.CONFIG).read_text())
    change(document)
    (folder / checkpoint.CONFIG).write_text(json.dumps(document))


def test_a_loaded_model_is_the_saved_one(model, images, folder):
    found = TrainedGpt.load(folder)
    assert torch.equal(found.model(*images), model(*images))
    assert found.model.config == model.config
    assert (found.tokenizer, found.training) == (TOKENIZER, {"steps": 7})
    assert not found.model.training
    assert sorted(each.name for each in folder.iterdir()) == [
        checkpoint.CONFIG,
        checkpoint.WEIGHTS,
    ]


def test_a_model_in_half_precision_is_kept_in_single(model, tmp_path):
    TrainedGpt(model.to(torch.bfloat16), TOKENIZER).save(tmp_path / "gpt")
    found = TrainedGpt.load(tmp_path / "gpt").model
    assert found.output.weight.dtype == torch.float32
    assert torch.equal(found.output.weight, model.output.weight.float())


def test_the_fingerprint_is_the_one_that_the_folder_records(model, config, folder):
    found = TrainedGpt.load(folder)
    recorded = json.loads((folder / checkpoint.CONFIG).read_text())["fingerprint"]
    assert found.fingerprint() == recorded
    assert TrainedGpt(model, "f" * 16).fingerprint() == recorded
    other = Gpt(dataclasses.replace(config, dropout=0.3))
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        model.output.weight[0, 0] += 1e-6
    changed = {TrainedGpt(each, TOKENIZER).fingerprint() for each in (model, other)}
    assert len(changed | {recorded}) == 3


def test_only_the_tokenizer_of_the_training_is_accepted(folder):
    found = TrainedGpt.load(folder)
    found.check_tokenizer(TOKENIZER)
    with pytest.raises(TokenFormatError, match=f"{TOKENIZER}, but this one has f{'0' * 15}"):
        found.check_tokenizer("f" + "0" * 15)


@pytest.mark.parametrize("wrong", ["", "0123", "0123456789ABCDEF", None])
def test_a_model_without_a_tokenizer_is_refused(model, folder, wrong):
    with pytest.raises(ConfigError, match="expected the fingerprint of an image tokenizer, 16 hex"):
        TrainedGpt(model, wrong)
    edit(folder, lambda d: d.update(tokenizer=wrong))
    with pytest.raises(CheckpointError, match=r"config\.json: tokenizer: expected the fingerprint"):
        TrainedGpt.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["model"].update(vocabulary=13), r"shape \(12, 32\), expected \(13, 32\)"),
        (lambda d: d["model"].update(layers=3), "7 tensors are absent"),
        (lambda d: d["model"].update(heads=3), "dim: must be a multiple of 4 features"),
        (lambda d: d["model"].update(hedas=3), "did you mean 'heads'"),
        (lambda d: d["model"].pop("grid"), "grid: missing"),
        # Neither shows in a shape.
        (lambda d: d["model"].update(heads=4), "do not belong together"),
        (lambda d: d["model"].update(grid=5), "do not belong together"),
        (lambda d: d.update(format_version=99), "model format 99; this release reads 1"),
        (lambda d: d.update(format="provq-image-model"), "is no autoregressive image model"),
    ],
)
def test_a_configuration_of_another_model_is_refused(folder, change, message):
    edit(folder, change)
    with pytest.raises(CheckpointError, match=message):
        TrainedGpt.load(folder)


def test_missing_and_damaged_files_are_named(tmp_path, folder):
    with pytest.raises(CheckpointError, match="nowhere: no such model folder"):
        TrainedGpt.load(tmp_path / "nowhere")
    path = folder / checkpoint.WEIGHTS
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        TrainedGpt.load(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="no such weights file"):
        TrainedGpt.load(folder)


# ------------------------------------------------------------------------------------- LlamaGen


@pytest.fixture
def state():
    """Return a state dict as LlamaGen writes it, names and shapes by hand, of random numbers."""
    shapes = {
        "cls_embedding.embedding_table.weight": (6, 32),
        "tok_embeddings.weight": (12, 32),
        "norm.weight": (32,),
        "output.weight": (12, 32),
    }
    for layer in ("layers.0", "layers.1"):
        shapes |= {
            f"{layer}.attention.wqkv.weight": (96, 32),
            f"{layer}.attention.wo.weight": (32, 32),
            f"{layer}.feed_forward.w1.weight": (96, 32),
            f"{layer}.feed_forward.w3.weight": (96, 32),
            f"{layer}.feed_forward.w2.weight": (32, 96),
            f"{layer}.attention_norm.weight": (32,),
            f"{layer}.ffn_norm.weight": (32,),
        }
    generator = torch.Generator().manual_seed(9)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("section", ["model", "module", "state_dict", None])
def test_released_weights_arrive_under_their_names(config, state, tmp_path, section):
    path = tmp_path / "c2i.pt"
    extra = {"ema": {"no": torch.zeros(1)}, "steps": 3, "args": argparse.Namespace(seed=0)}
    torch.save(state if section is None else {section: state, **extra}, path)
    model = Gpt.build(config)
    load_llamagen_gpt(model, read_llamagen_gpt(path))
    own = model.state_dict()
    assert set(own) == set(state)
    assert all(torch.equal(own[name], value) for name, value in state.items())


def test_a_table_of_positions_is_passed_over(config, state):
    load_llamagen_gpt(Gpt.build(config), {**state, "freqs_cis": torch.zeros(17, 8, 2)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("norm.weight"), r"1 tensors are absent \['norm.weight'\]"),
        (
            lambda s: s.update({"cls_embedding.cap_proj.fc1.weight": torch.zeros(4, 4)}),
            r"1 unknown \['cls_embedding.cap_proj.fc1.weight'\]",
        ),
        (
            lambda s: s.update({"output.weight": torch.zeros(16, 32)}),
            r"some.pt: output.weight has shape \(16, 32\), expected \(12, 32\)",
        ),
        (
            lambda s: s["layers.0.attention.wo.weight"].fill_(float("nan")),
            r"some.pt: layers.0.attention.wo.weight contains NaN or infinity",
        ),
    ],
)
def test_other_layouts_are_refused_and_change_nothing(config, state, change, message):
    change(state)
    model = Gpt.build(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_llamagen_gpt(model, state, source="some.pt")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"a": 1}}, r"\['a'\] are no tensors; expected a state dict"),
        ({"steps": 3}, r"\['steps'\] are no tensors"),
        ([torch.zeros(1)], "expected a dict of weights, got list"),
        ({}, "expected a dict of weights, got dict"),
        ({"model": {}}, "expected a dict of weights, got dict"),
    ],
)
def test_files_of_other_things_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "c2i.pt")
    with pytest.raises(CheckpointError, match=message):
        read_llamagen_gpt(tmp_path / "c2i.pt")
    with pytest.raises(CheckpointError, match="no such file of weights"):
        read_llamagen_gpt(tmp_path / "absent.pt")
