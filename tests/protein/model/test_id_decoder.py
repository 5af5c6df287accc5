"""Does a decoder of ids see resolved residues and nothing else, and refuse to be trained?"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.evaluation.roundtrip import evaluate_roundtrip
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.config import CodebookConfig, ModelConfig
from provq_protein.model.geometric_encoder import GeometricEncoderConfig
from provq_protein.model.id_decoder import IdDecoder, IdDecoderConfig
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import load_recipe

CODES = 20


def build_decoder() -> IdDecoder:
    torch.manual_seed(5)
    config = IdDecoderConfig(width=32, blocks=2, heads=4)
    return IdDecoder(config, CODES).double().eval()


def make_ids(*shape: int) -> Tensor:
    return torch.randint(CODES, shape, generator=torch.Generator().manual_seed(0))


def decode(
    decoder: IdDecoder, ids: Tensor, resolved: Tensor | None = None, present: Tensor | None = None
) -> Tensor:
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    numbers = torch.arange(ids.shape[1]).expand(ids.shape)
    resolved, present = (everywhere if mask is None else mask for mask in (resolved, present))
    # Coordinates are single precision; features are not.
    return decoder(ids, resolved, numbers, present).hidden


def test_full_size_is_that_of_the_released_decoder() -> None:
    with torch.device("meta"):
        decoder = IdDecoder(IdDecoderConfig(), 4096)
    block = 4 * 1280**2 + 4 * 1280 + 2 * 1280 + 3 * 1280 * 3584
    frames = 1280**2 + 3 * 1280 + 9 * 1280 + 9
    expected = 4101 * 1280 + 30 * block + 1280 + frames
    assert sum(parameter.numel() for parameter in decoder.parameters()) == expected


@torch.no_grad()
def test_every_id_matters_to_every_residue() -> None:
    decoder, ids = build_decoder(), make_ids(1, 9)
    changed = ids.clone()
    changed[0, 4] = (ids[0, 4] + 1) % CODES
    moved = (decode(decoder, ids) - decode(decoder, changed)).abs().amax(-1)[0]
    assert (moved > 1e-6).all()


@torch.no_grad()
def test_unresolved_residues_are_invisible_and_uncounted() -> None:
    decoder, ids = build_decoder(), make_ids(1, 12)
    resolved = torch.ones(1, 12, dtype=torch.bool)
    resolved[0, [0, 5, 6, 11]] = False
    whole = decode(decoder, ids, resolved)[resolved]
    alone = decode(decoder, ids[resolved][None])[0]
    torch.testing.assert_close(whole, alone, rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    decoder, ids = build_decoder(), make_ids(2, 10)
    present = torch.ones(2, 10, dtype=torch.bool)
    present[1, 6:] = False
    both = decode(decoder, ids, present=present)
    torch.testing.assert_close(both[1, :6], decode(decoder, ids[1:, :6])[0], rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_a_start_and_an_end_stand_around_the_chain_and_nothing_else() -> None:
    decoder, ids = build_decoder(), make_ids(1, 8)
    special = decoder.embedding.weight
    before = decode(decoder, ids)
    for row in (CODES + 1, CODES + 2):
        kept = special[row].clone()
        special[row] *= -1.0
        assert (decode(decoder, ids) - before).abs().amax() > 1e-6
        special[row] = kept
    # Mask, padding and chain break stand nowhere.
    for row in (CODES, CODES + 3, CODES + 4):
        special[row] *= -1.0
    assert torch.equal(decode(decoder, ids), before)


def test_given_ids_are_left_as_they_are() -> None:
    decoder, ids = build_decoder(), make_ids(1, 8)
    before = ids.clone()
    decode(decoder, ids)
    assert torch.equal(ids, before)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({"width": 30, "heads": 4}, "multiple of"),
        ({"blocks": 0}, "blocks"),
        ({"heads": 0}, "heads"),
    ],
)
def test_impossible_sizes_are_refused(sizes, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        IdDecoderConfig(**sizes)


@pytest.fixture
def model() -> StructureAutoencoder:
    """Return a model that decodes ids; its latents have no size that a decoder shares."""
    return StructureAutoencoder.build(
        ModelConfig(
            encoder=GeometricEncoderConfig(latent_dim=5, width=16, vector_heads=2, blocks=1),
            codebook=CodebookConfig(kind="ema", size=CODES, commitment_weight=0.25),
            decoder=IdDecoderConfig(width=32, blocks=1, heads=2),
        )
    )


def test_a_saved_model_is_the_same_model(model, tmp_path) -> None:
    model.save(tmp_path / "model", training={})
    again = StructureAutoencoder.load(tmp_path / "model")
    ids, there = make_ids(1, 7), torch.ones(1, 7, dtype=torch.bool)
    given = (ids, there, torch.arange(7)[None], there)
    assert torch.equal(again.decode(*given), model.decode(*given))
    assert again.decode(*given).shape == (1, 7, 3, 3)


def test_latents_are_not_decoded(model) -> None:
    there = torch.ones(1, 7, dtype=torch.bool)
    with pytest.raises(ConfigError, match="it decodes no latents"):
        model.decode_latents(torch.zeros(1, 7, 5), there, torch.arange(7)[None], there)


def test_a_better_decoder_keeps_tokens_valid(model) -> None:
    before = model.fingerprint()
    torch.nn.init.zeros_(model.decoder.embedding.weight)
    assert model.fingerprint() == before


def test_no_recipe_can_ask_for_it() -> None:
    recipe = load_recipe("vanilla_vq")
    with pytest.raises(ConfigError, match="kind 'ids' cannot be trained"):
        replace(recipe, model=replace(recipe.model, decoder=IdDecoderConfig()))


def test_the_reconstruction_benchmark_leaves_latents_out(model, make_coords) -> None:
    report = evaluate_roundtrip(
        StructureTokenizer(model), [Backbone.from_arrays(make_coords(12, 1))]
    )
    assert {"tokens", "untrained"} <= set(report.variants)
    assert "continuous" not in report.variants
