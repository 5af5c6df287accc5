"""Do checkpoints of StructTokenBench become a model, whatever they are wrapped in?"""

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_protein.model.transformer_decoder import TransformerDecoderConfig
from provq_protein.peers.conversion import convert
from provq_protein.tokenizer import StructureTokenizer


def saved(content, path):
    torch.save(content, path)
    return path


@pytest.fixture(params=[False, True], ids=["vanilla", "aminoaseed"])
def state(released, request):
    return released(linear=request.param)


@pytest.fixture
def linear(state):
    return "quantizer.linear_proj.weight" in state


def test_the_effective_codes_are_those_of_the_checkpoint(state, linear, tmp_path) -> None:
    model = convert([saved(state, tmp_path / "plain.pt")]).model
    codes = state["quantizer.codebook.weight"]
    if linear:
        weight = state["quantizer.linear_proj.weight"]
        codes = codes @ weight.T + state["quantizer.linear_proj.bias"]
    torch.testing.assert_close(model.codebook(), codes)
    assert model.config.codebook.kind == ("linear" if linear else "free")


def test_sizes_are_read_off_and_no_head_is_lost(state, tmp_path) -> None:
    done = convert([saved(state, tmp_path / "plain.pt")])
    assert done.layout == "structtokenbench"
    assert done.left_out == ()
    assert done.model.config.decoder == TransformerDecoderConfig(
        latent_dim=6, width=64, blocks=1, heads=1, num_classes=33, confidence_heads=True
    )
    given = sum(tensor.numel() for tensor in state.values())
    # One more: that the codes are learned.
    assert sum(tensor.numel() for tensor in done.model.state_dict().values()) == given + 1


def wrapped(state, layout, tmp_path, deepspeed):
    """Return the path of a checkpoint, by the layout's name."""
    if layout.startswith("deepspeed"):
        folder = deepspeed(state, tmp_path / "last.ckpt")
        inside = {
            "deepspeed folder": ".",
            "deepspeed inner folder": "checkpoint",
            "deepspeed file": "checkpoint/mp_rank_00_model_states.pt",
        }
        return folder / inside[layout]
    prefix = "_forward_module.model." if layout == "wrapped names" else "model."
    named = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    return saved(named if layout == "plain" else {"state_dict": named}, tmp_path / "some.pt")


@pytest.mark.parametrize(
    "layout",
    [
        "deepspeed folder",
        "deepspeed inner folder",
        "deepspeed file",
        "plain",
        "lightning",
        "wrapped names",
    ],
)
def test_every_wrapping_gives_the_same_model(layout, released, tmp_path, deepspeed) -> None:
    state = released(linear=True)
    bare = convert([saved(state, tmp_path / "bare.pt")]).model
    found = convert([wrapped(state, layout, tmp_path, deepspeed)]).model
    assert found.fingerprint() == bare.fingerprint()
    others = found.state_dict()
    assert all(torch.equal(tensor, others[name]) for name, tensor in bare.state_dict().items())


def test_the_converted_folder_encodes_and_decodes(state, chain, tmp_path) -> None:
    done = convert([saved(state, tmp_path / "plain.pt")])
    done.model.save(tmp_path / "model", training=done.provenance())
    tokenizer = StructureTokenizer.from_pretrained(tmp_path / "model")
    (tokens,) = tokenizer.encode([chain])
    (backbone,) = tokenizer.decode([tokens])
    assert set(tokens.ids[chain.resolved].tolist()) <= set(range(12))
    assert (backbone.resolved == chain.resolved).all()


def test_where_the_training_stood_is_left_out_and_named(state, tmp_path) -> None:
    state |= {"quantizer.sche_a": torch.tensor(0.0), "quantizer.cur_iter": torch.tensor(7)}
    done = convert([saved(state, tmp_path / "plain.pt")])
    assert done.left_out == ("quantizer.sche_a", "quantizer.cur_iter")


@pytest.mark.parametrize(
    "name",
    [
        "quantizer.codebook.weight",
        "encoder.pre_vq_proj.bias",
        "decoder.post_vq_proj.weight",
        "decoder.decoder_stack.norm.weight",
        "decoder.plddt_head.dense.bias",
        "inverse_folding_head.output.weight",
    ],
)
def test_a_missing_tensor_of_a_checkpoint_is_named(name, released, tmp_path) -> None:
    state = released(linear=True)
    del state[name]
    with pytest.raises(CheckpointError, match=r"some\.pt") as caught:
        convert([saved(state, tmp_path / "some.pt")])
    assert name.split(".", 1)[1] in str(caught.value)


@pytest.mark.parametrize("name", ["encoder.new", "decoder.new", "quantizer.new", "head.new"])
def test_an_unknown_tensor_of_a_checkpoint_is_refused(name, released, tmp_path) -> None:
    state = released(linear=False) | {name: torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"some\.pt.*new"):
        convert([saved(state, tmp_path / "some.pt")])


def test_an_autoencoder_without_codes_is_refused(released, tmp_path) -> None:
    state = {
        name: tensor
        for name, tensor in released(linear=False).items()
        if not name.startswith("quantizer.")
    }
    with pytest.raises(CheckpointError, match="no quantizer"):
        convert([saved(state, tmp_path / "stage1.pt")])


def test_two_checkpoints_are_no_model(state, tmp_path) -> None:
    files = [saved(state, tmp_path / name) for name in ("a.pt", "b.pt")]
    with pytest.raises(CheckpointError, match="one file or folder"):
        convert(files)


def test_a_layout_that_was_asked_for_is_not_guessed(state, esm3_files, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="none of these files holds the encoder of ESM3"):
        convert([saved(state, tmp_path / "plain.pt")], layout="esm3")
    with pytest.raises(CheckpointError, match="one file or folder"):
        convert(esm3_files, layout="structtokenbench")


def test_files_of_no_layout_are_refused(tmp_path) -> None:
    path = saved({"conv.weight": torch.zeros(2)}, tmp_path / "some.pt")
    with pytest.raises(CheckpointError, match=r"no layout that is known here.*conv\.weight"):
        convert([path])
