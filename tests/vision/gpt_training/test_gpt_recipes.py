"""Do the recipes of autoregressive models say what LlamaGen did, and refuse mistakes?"""

import pytest

from provq_protein.errors import ConfigError
from provq_vision.generation import GPTS
from provq_vision.gpt_training.config import load_recipe, recipe_names


@pytest.mark.parametrize(("recipe", "model"), [("llamagen_b", "B"), ("llamagen_l", "L")])
def test_the_full_recipes_are_llamagens(recipe, model):
    config = load_recipe(recipe)
    network = config.network(vocabulary=16_384, num_classes=1000, grid=16)
    assert network == GPTS[model]
    optimizer = config.optimizer
    assert (optimizer.learning_rate, optimizer.betas) == (1e-4, (0.9, 0.95))
    assert (optimizer.weight_decay, optimizer.clip, config.precision) == (0.05, 1.0, "bf16")
    # 300 epochs of ImageNet's 1,281,167 images, each without its incomplete batch.
    assert config.steps == 300 * (1_281_167 // config.batch_size)


def test_every_recipe_describes_a_run():
    assert recipe_names() == ["llamagen_b", "llamagen_l", "mini", "smoke"]
    for name in recipe_names():
        assert load_recipe(name).network(vocabulary=8, num_classes=2, grid=2).tokens == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model=huge", "model: must be one of 'B', 'L'"),
        ("steps=0", "steps: must be 1 or more, got 0"),
        ("seed=-1", "seed: must be 0 or more"),
        ("batch_size=0", "batch_size: must be 1 or more"),
        ("dropout=1.0", "dropout: must be a probability"),
        ("class_dropout=-0.1", "class_dropout: must be a probability"),
        ("optimizer.learning_rate=0.0", "optimizer.learning_rate: must be above 0"),
        ("optimizer.clip=0.0", "optimizer.clip: must be above 0"),
        ("monitor.validate_every=0", "monitor.validate_every: must be 1 or more"),
        ("optimizer.momentum=1.0", "momentum"),
        ("precision=fp16", "precision"),
    ],
)
def test_a_recipe_that_is_no_run_is_refused_with_the_reason(change, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("smoke", [change])


def test_a_recipe_of_a_tokenizer_is_not_found_here():
    with pytest.raises(ConfigError, match="no such recipe; shipped are llamagen_b"):
        load_recipe("tiny_imagenet_64")
