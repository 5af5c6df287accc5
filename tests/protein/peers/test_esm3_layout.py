"""Do ESM3's two files become one model, and is whatever does not belong there refused?"""

import numpy as np
import pytest
import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.geometric_encoder import GeometricEncoderConfig
from provq_protein.model.id_decoder import IdDecoderConfig
from provq_protein.peers.conversion import convert
from provq_protein.tokenizer import StructureTokenizer

CODES = 12


def saved(state, path):
    torch.save(state, path)
    return path


def test_sizes_are_read_off_the_tensors(esm3_files) -> None:
    done = convert(esm3_files)
    config = done.model.config
    assert done.layout == "esm3"
    assert config.encoder == GeometricEncoderConfig(
        latent_dim=6, width=16, vector_heads=2, blocks=2, ffn_ratio=4
    )
    assert (config.codebook.kind, config.codebook.size) == ("ema", CODES)
    assert config.decoder == IdDecoderConfig(width=64, blocks=1, heads=1)


def test_the_order_of_the_files_is_of_no_account(esm3_files) -> None:
    ways = [convert(files).model.fingerprint() for files in (esm3_files, esm3_files[::-1])]
    assert ways[0] == ways[1]


def test_the_codes_and_their_averages_are_those_of_the_file(esm3_files, esm3) -> None:
    model = convert(esm3_files).model
    assert torch.equal(model.codebook(), esm3["encoder"]["codebook.embeddings"])
    book = model.quantizer.codebook
    assert torch.equal(book.counts, esm3["encoder"]["codebook.N"])
    assert torch.equal(book.sums, esm3["encoder"]["codebook.z_avg"])
    assert bool(book.initialized)


def test_what_is_left_out_is_named(esm3_files, esm3) -> None:
    left_out = convert(esm3_files).left_out
    heads = {n for n in esm3["decoder"] if n.startswith(("plddt_head.", "pairwise_"))}
    torsions = {f"affine_output_projection.proj.{kind}[9:23]" for kind in ("weight", "bias")}
    assert set(left_out) == heads | torsions
    assert len(left_out) == len(heads) + 2


def test_a_folder_with_esm3s_names_stands_for_its_files(esm3, tmp_path) -> None:
    inside = tmp_path / "snapshot" / "data" / "weights"
    inside.mkdir(parents=True)
    for part, state in esm3.items():
        saved(state, inside / f"esm3_structure_{part}_v0.pth")
    sources = convert([tmp_path / "snapshot"]).sources
    assert [source["file"] for source in sources] == [
        "esm3_structure_encoder_v0.pth",
        "esm3_structure_decoder_v0.pth",
    ]


def test_the_converted_folder_encodes_and_decodes(esm3_files, chain, tmp_path) -> None:
    done = convert(esm3_files)
    done.model.save(tmp_path / "model", training=done.provenance())
    tokenizer = StructureTokenizer.from_pretrained(tmp_path / "model")
    (tokens,) = tokenizer.encode([chain])
    (backbone,) = tokenizer.decode([tokens])
    assert tokens.ids[chain.resolved].max() < CODES
    assert np.isfinite(backbone.coords[chain.resolved]).all()
    again = StructureAutoencoder.load(tmp_path / "model")
    assert again.fingerprint() == done.model.fingerprint() == tokens.fingerprint


def test_either_file_alone_is_refused(esm3_files) -> None:
    for path, absent in zip(esm3_files, ("decoder", "encoder"), strict=True):
        with pytest.raises(CheckpointError, match=f"none of these files holds the {absent}"):
            convert([path])


def test_two_encoders_are_refused(esm3_files) -> None:
    with pytest.raises(CheckpointError, match="2 of these files holds the encoder"):
        convert([esm3_files[0], *esm3_files])


def without(state, name):
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("encoder", "transformer.blocks.1.ffn.3.bias"),
        ("encoder", "codebook.N"),
        ("decoder", "decoder_stack.blocks.0.attn.q_ln.weight"),
        ("decoder", "affine_output_projection.proj.bias"),
    ],
)
def test_a_missing_tensor_is_named(esm3, part, name, tmp_path) -> None:
    esm3[part] = without(esm3[part], name)
    files = [saved(state, tmp_path / f"{each}.pth") for each, state in esm3.items()]
    with pytest.raises(CheckpointError, match=rf"{part}\.pth.*(absent|missing) .*") as caught:
        convert(files)
    assert name.removeprefix("codebook.") in str(caught.value)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_tensor_of_no_known_name_is_refused(esm3, part, tmp_path) -> None:
    esm3[part]["something.new"] = torch.zeros(2)
    files = [saved(state, tmp_path / f"{each}.pth") for each, state in esm3.items()]
    with pytest.raises(CheckpointError, match=rf"{part}\.pth.*something\.new"):
        convert(files)


@pytest.mark.parametrize(
    ("part", "name", "tensor", "problem"),
    [
        ("encoder", "pre_vq_proj.weight", torch.zeros(6), "of its shape"),
        ("encoder", "codebook.embeddings", torch.zeros(()), r"expected shape \(code, dim\)"),
        ("encoder", "codebook.z_avg", torch.zeros(12, 5), r"sums \(12, 5\).*expected \(12, 6\)"),
        ("encoder", "codebook.N", torch.zeros(12, dtype=torch.int64), "int64, expected"),
        ("decoder", "embed.weight", torch.zeros(12, 64), "do not belong together"),
        ("decoder", "embed.weight", torch.zeros(17, 60), "--decoder-heads"),
        ("decoder", "decoder_stack.norm.weight", torch.full((64,), torch.nan), "NaN or inf"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(esm3, part, name, tensor, problem, tmp_path) -> None:
    esm3[part][name] = tensor
    files = [saved(state, tmp_path / f"{each}.pth") for each, state in esm3.items()]
    with pytest.raises(CheckpointError, match=problem) as caught:
        convert(files)
    assert "\n" not in str(caught.value)


def test_half_precision_becomes_single(esm3, tmp_path) -> None:
    halves = {
        part: {name: tensor.bfloat16() for name, tensor in state.items()}
        for part, state in esm3.items()
    }
    files = [saved(state, tmp_path / f"{each}.pth") for each, state in halves.items()]
    model = convert(files).model
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert torch.equal(model.codebook(), halves["encoder"]["codebook.embeddings"].float())


def test_heads_can_be_said(esm3_files) -> None:
    assert convert(esm3_files, decoder_heads=4).model.config.decoder.heads == 4
    with pytest.raises(CheckpointError, match="multiple of 2"):
        convert(esm3_files, decoder_heads=5)


def test_a_model_that_decodes_ids_is_not_trained(esm3_files, make_coords) -> None:
    model = convert(esm3_files).model
    coords = torch.from_numpy(make_coords(9, 1))[None]
    there = torch.ones(1, 9, dtype=torch.bool)
    with pytest.raises(ConfigError, match="kind 'ids' embeds ids"):
        model.train()(coords, there, torch.arange(9)[None], there, step=0)
