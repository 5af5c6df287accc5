"""Are encoder and decoder those of LlamaGen: sizes, names, formulas?"""

import math

import pytest
import torch
from torch import nn

from provq_protein.errors import ConfigError
from provq_protein.quantize import METHODS
from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.model import (
    NETWORKS,
    CodebookConfig,
    ImageAutoencoder,
    ImageModelConfig,
    NetworkConfig,
    llamagen_config,
)
from provq_vision.model.config import Method
from provq_vision.model.layers import AttentionBlock, Downsample


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize(
    ("network", "total", "encoder", "decoder"),
    [
        ("vq16", 71_883_403, 29_298_176, 42_449_795),
        ("vq8", 70_109_835, 28_559_232, 41_415_171),
    ],
)
def test_the_published_tokenizers_have_their_published_sizes(network, total, encoder, decoder):
    with torch.device("meta"):
        model = ImageAutoencoder(llamagen_config(network))
    assert count(model) == total
    assert count(model.encoder) == encoder
    assert count(model.decoder) == decoder
    assert count(model.quant_conv) == 2_056
    assert count(model.post_quant_conv) == 2_304
    assert model.codebook().shape == (16_384, 8)


def test_the_small_network_has_about_a_million_parameters_and_16_by_16_latents_at_64_pixels():
    codebook = CodebookConfig(method="vanilla", size=512, dim=8, commitment_weight=0.25)
    model = ImageAutoencoder.build(ImageModelConfig(network=NETWORKS["small"], codebook=codebook))
    assert 1_000_000 < count(model) < 1_100_000
    assert model.encode(torch.zeros(1, 3, 64, 64)).shape == (1, 16, 16)


def test_attention_is_in_the_lowest_level_and_the_middle_alone():
    with torch.device("meta"):
        model = ImageAutoencoder(llamagen_config("vq16"))
    names = [name for name, each in model.named_modules() if isinstance(each, AttentionBlock)]
    assert names == [
        *(f"encoder.conv_blocks.4.attn.{number}" for number in range(2)),
        "encoder.mid.1",
        "decoder.mid.1",
        *(f"decoder.conv_blocks.0.attn.{number}" for number in range(3)),
    ]


def test_attention_is_softmax_of_scaled_products_over_all_pixels():
    torch.manual_seed(0)
    block = AttentionBlock(8, groups=4).double()
    features = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    normed = block.norm(features)
    query, key, value = (layer(normed).flatten(2) for layer in (block.q, block.k, block.v))
    scores = torch.einsum("bci,bcj->bij", query, key) / math.sqrt(8)
    mixed = torch.einsum("bij,bcj->bci", scores.softmax(-1), value).reshape(features.shape)
    torch.testing.assert_close(block(features), features + block.proj_out(mixed))


def test_downsampling_pads_below_and_to_the_right_alone():
    layer = Downsample(1)
    with torch.no_grad():
        layer.conv.weight.fill_(0.0)
        layer.conv.bias.fill_(0.0)
        layer.conv.weight[0, 0, 0, 0] = 1.0
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    # The upper left weight meets pixel (2i, 2j): with padding above it would meet (2i-1, 2j-1).
    assert torch.equal(layer(image)[0, 0], image[0, 0, ::2, ::2])


def test_every_method_of_the_quantizer_core_is_a_codebook_kind():
    assert set(Method.__args__) == set(METHODS)


def test_a_configuration_survives_toml_and_json():
    config = llamagen_config("vq8", method="simvq")
    assert from_mapping(ImageModelConfig, to_mapping(config), where="test") == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"multipliers": []}, "expected a list of integers"),
        ({"multipliers": "12"}, "expected a list of integers"),
        ({"multipliers": (1, 1.5)}, "multipliers: must be an integer of 1 or more, got 1.5"),
        ({"channels": 0}, "channels: must be an integer"),
        ({"channels": 48}, r"norm_groups \(32\) must divide every width, got 48"),
        ({"res_blocks": True}, "res_blocks: must be an integer"),
    ],
)
def test_sizes_that_make_no_network_are_refused(change, message):
    sizes = to_mapping(NETWORKS["small"]) | change
    with pytest.raises(ConfigError, match=message):
        NetworkConfig(**sizes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "vannila"}, "method must be one of 'vanilla'"),
        ({"size": 1}, "size must be at least 2"),
        ({"dim": 0}, "dim must be at least 1"),
    ],
)
def test_impossible_codebooks_are_refused(change, message):
    sizes = {"method": "vanilla", "size": 8, "dim": 4, "commitment_weight": 0.25} | change
    with pytest.raises(ConfigError, match=message):
        CodebookConfig(**sizes)


def test_an_unknown_network_is_named():
    with pytest.raises(ConfigError, match="must be one of 'vq16', 'vq8', 'small'; got 'vq32'"):
        llamagen_config("vq32")
