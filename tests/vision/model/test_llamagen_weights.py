"""Do weights that LlamaGen released load, by name, without running anything?"""

import argparse
import os
import pickle

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_vision.model import CodebookConfig, ImageAutoencoder, ImageModelConfig, NetworkConfig
from provq_vision.model.llamagen import load_llamagen, read_llamagen

NETWORK = NetworkConfig(
    channels=8, multipliers=(1, 2), res_blocks=1, latent_channels=16, norm_groups=4, patch=1
)


def build(method: str = "vanilla_l2", *, seed: int = 0) -> ImageAutoencoder:
    codebook = CodebookConfig(method=method, size=16, dim=4, commitment_weight=0.25)  # pyright: ignore[reportArgumentType]
    return ImageAutoencoder.build(ImageModelConfig(network=NETWORK, codebook=codebook), seed=seed)


def names() -> dict[str, tuple[int, ...]]:
    """Return the tensors of a LlamaGen tokenizer of two levels, written out by hand."""
    found = {}

    def layer(name, shape):
        found[f"{name}.weight"] = shape
        found[f"{name}.bias"] = shape[:1]

    def block(name, inputs, outputs):
        layer(f"{name}.norm1", (inputs,))
        layer(f"{name}.conv1", (outputs, inputs, 3, 3))
        layer(f"{name}.norm2", (outputs,))
        layer(f"{name}.conv2", (outputs, outputs, 3, 3))
        if inputs != outputs:
            layer(f"{name}.nin_shortcut", (outputs, inputs, 1, 1))

    def attention(name, width):
        layer(f"{name}.norm", (width,))
        for part in ("q", "k", "v", "proj_out"):
            layer(f"{name}.{part}", (width, width, 1, 1))

    for side in ("encoder", "decoder"):
        block(f"{side}.mid.0", 16, 16)
        attention(f"{side}.mid.1", 16)
        block(f"{side}.mid.2", 16, 16)
    layer("encoder.conv_in", (8, 3, 3, 3))
    block("encoder.conv_blocks.0.res.0", 8, 8)
    layer("encoder.conv_blocks.0.downsample.conv", (8, 8, 3, 3))
    block("encoder.conv_blocks.1.res.0", 8, 16)
    attention("encoder.conv_blocks.1.attn.0", 16)
    layer("encoder.norm_out", (16,))
    layer("encoder.conv_out", (16, 16, 3, 3))
    layer("quant_conv", (4, 16, 1, 1))
    layer("post_quant_conv", (16, 4, 1, 1))
    layer("decoder.conv_in", (16, 16, 3, 3))
    for number in range(2):
        block(f"decoder.conv_blocks.0.res.{number}", 16, 16)
        attention(f"decoder.conv_blocks.0.attn.{number}", 16)
    layer("decoder.conv_blocks.0.upsample.conv", (16, 16, 3, 3))
    block("decoder.conv_blocks.1.res.0", 16, 8)
    block("decoder.conv_blocks.1.res.1", 8, 8)
    layer("decoder.norm_out", (8,))
    layer("decoder.conv_out", (3, 8, 3, 3))
    found["quantize.embedding.weight"] = (16, 4)
    found["quantize.codebook_used"] = (65_536,)
    return found


@pytest.fixture
def state():
    """Return a state dict as LlamaGen writes it, of random numbers."""
    generator = torch.Generator().manual_seed(7)
    return {name: torch.randn(shape, generator=generator) for name, shape in names().items()}


@pytest.mark.parametrize("method", ["vanilla", "vanilla_l2"])
def test_every_tensor_arrives_under_its_name(method, state):
    model = build(method)
    load_llamagen(model, state)
    own = model.state_dict()
    parts = [name for name in state if not name.startswith("quantize.")]
    assert {name for name in own if not name.startswith("quantizer.")} == set(parts)
    assert all(torch.equal(own[name], state[name]) for name in parts)
    book = model.quantizer.codebook
    # Lengths are kept, although only directions count on the sphere.
    assert torch.equal(book.raw_codes(), state["quantize.embedding.weight"])
    assert bool(book.initialized)


@torch.no_grad()
def test_ids_are_those_of_the_largest_cosine(state):
    model = build()
    load_llamagen(model, state)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    latents = torch.nn.functional.normalize(model.embed(images), dim=-1)
    codes = torch.nn.functional.normalize(state["quantize.embedding.weight"], dim=-1)
    assert torch.equal(model.encode(images), (latents @ codes.T).argmax(-1))


def test_without_codes_a_codebook_of_any_kind_keeps_its_own(state):
    model = build("simvq")
    before = model.codebook()
    load_llamagen(model, state, codebook=False)
    assert torch.equal(model.codebook(), before)
    assert not bool(model.quantizer.codebook.initialized)
    assert torch.equal(model.state_dict()["quant_conv.bias"], state["quant_conv.bias"])
    del state["quantize.embedding.weight"]
    load_llamagen(model, state, codebook=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("quant_conv.bias"), r"1 tensors are absent \['quant_conv.bias'\]"),
        (lambda s: s.pop("quantize.embedding.weight"), "absent .*embedding"),
        (lambda s: s.update(stranger=torch.zeros(1)), r"1 unknown \['stranger'\]"),
        (
            lambda s: s.update({"encoder.conv_in.weight": torch.zeros(8, 1, 3, 3)}),
            r"encoder.conv_in.weight has shape \(8, 1, 3, 3\), expected \(8, 3, 3, 3\)",
        ),
        (
            lambda s: s.update({"quantize.embedding.weight": torch.zeros(32, 4)}),
            r"embedding.weight has shape \(32, 4\), expected \(16, 4\)",
        ),
        (lambda s: s["decoder.conv_out.bias"].fill_(torch.nan), "decoder.conv_out.bias .* NaN"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_change_nothing(change, message, state):
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    change(state)
    with pytest.raises(CheckpointError, match=message):
        load_llamagen(model, state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_codes_have_no_place_in_a_codebook_that_is_no_free_table(state):
    with pytest.raises(CheckpointError, match="the codebook of the model is 'simvq'"):
        load_llamagen(build("simvq"), state)


@pytest.mark.parametrize(
    ("sections", "chosen"), [(("model",), "model"), (("model", "ema"), "ema"), (("ema",), "ema")]
)
def test_averaged_weights_are_preferred(sections, chosen, state, tmp_path):
    content = {name: {"weight": torch.full((2,), float(len(name)))} for name in sections}
    # What a training checkpoint holds beside the weights.
    content |= {"steps": 5, "optimizer": {"state": {}}, "args": argparse.Namespace(lr=1e-4)}
    torch.save(content, tmp_path / "tokenizer.pt")
    found = read_llamagen(tmp_path / "tokenizer.pt")
    assert torch.equal(found["weight"], torch.full((2,), float(len(chosen))))


def test_a_file_goes_into_a_model(state, tmp_path):
    torch.save({"model": state}, tmp_path / "tokenizer.pt")
    model = build()
    load_llamagen(model, read_llamagen(tmp_path / "tokenizer.pt"))
    assert torch.equal(model.quantizer.codebook.raw_codes(), state["quantize.embedding.weight"])


class Hostile:
    """What runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def plain_pickle(thing, path):
    path.write_bytes(pickle.dumps(thing))


@pytest.mark.parametrize("save", [torch.save, plain_pickle])
def test_a_checkpoint_with_code_is_refused_and_not_run(save, tmp_path):
    path, trace = tmp_path / "hostile.pt", tmp_path / "trace"
    save({"model": {"weight": Hostile(trace)}}, path)
    with pytest.raises(CheckpointError, match="holds more than tensors") as caught:
        read_llamagen(path)
    assert not trace.exists()
    # torch's own message tells how to run it all the same.
    assert "weights_only" not in str(caught.value)


def test_what_runs_code_is_named(tmp_path):
    torch.save({"model": {"weight": Hostile(tmp_path / "trace")}}, tmp_path / "hostile.pt")
    with pytest.raises(CheckpointError, match=r"\((posix|nt)\.system\)"):
        read_llamagen(tmp_path / "hostile.pt")


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02", b"PK\x03\x04broken"])
def test_files_that_are_no_checkpoint_are_refused(content, tmp_path):
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pt: is damaged"):
        read_llamagen(path)


def test_a_truncated_checkpoint_is_refused(state, tmp_path):
    path = tmp_path / "cut.pt"
    torch.save({"model": state}, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_llamagen(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such file of weights"):
        read_llamagen(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weights": {}}, r"under 'ema' or 'model', got \['weights'\]"),
        ({"model": {}}, "under 'ema' or 'model'"),
        ([1, 2], "got list"),
        ({"model": {"weight": 3}}, r"model: \['weight'\] are no tensors"),
    ],
)
def test_content_without_weights_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=message):
        read_llamagen(tmp_path / "other.pt")
