"""Do recipes of images say what LlamaGen and the paper say, and are mistakes in them refused?"""

import pytest

from provq_protein.errors import ConfigError
from provq_vision.model import ImageAutoencoder
from provq_vision.training.config import load_recipe, recipe_names

ROWS = [
    f"{method}{part}"
    for method in ("vanilla", "vanilla_l2", "simvq")
    for part in ("", "+soft", "+warmup", "+provq")
]


def test_the_recipes_are_those_of_the_documents():
    assert recipe_names() == ["imagenet100_256", "imagenet1k_256", "smoke", "tiny_imagenet_64"]


@pytest.mark.parametrize("recipe", recipe_names())
@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_papers_tables_is_a_preset_of_every_recipe(recipe, row):
    config = load_recipe(recipe, preset=row)
    method, _, part = row.partition("+")
    assert config.model.codebook.method == method
    assert (config.schedule.warmup_steps > 0) == (part in ("warmup", "provq"))
    assert (config.schedule.transition_steps > 0) == (part in ("soft", "provq"))
    assert config.is_seeded == (part in ("warmup", "provq"))
    # Matched compute: a warm-up counts as training.
    assert config.steps == load_recipe(recipe).steps


def test_the_scheduler_of_table_6_is_a_setting():
    config = load_recipe("imagenet100_256", ['curriculum.shape="hard"'])
    middle = config.schedule.warmup_steps + config.schedule.transition_steps // 2
    assert (config.schedule.alpha(middle), config.schedule.omega(middle)) == (1.0, 0.5)


def test_the_full_recipe_is_llamagens():
    config = load_recipe("imagenet1k_256", preset="vanilla_l2")
    shapes = ImageAutoencoder.shapes(config.model)
    flags = [name for name in shapes if name.endswith("initialized")]
    assert sum(shape.numel() for shape in shapes.values()) - len(flags) == 71_883_403
    # 40 epochs of the whole batches in 1,281,167 images.
    assert config.steps == 40 * (1_281_167 // config.data.batch_size)
    assert config.seeding.latents == 64 * config.codebook.size
    assert config.optimizer.betas == (0.9, 0.95)
    assert config.loss.discriminator_start == 20_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps=15", r"warm-up and transition \(16\) do not fit into 15 steps"),
        ("data.image_size=30", "data.image_size: must be a multiple of 4"),
        ("seeding.latents=31", "k-means of 32 codes needs as many latents or more, got 31"),
        ('perceptual="hed"', "a weight of 0 and 'none' belong together"),
        ("data.batch_size=0", "data.batch_size: must be 1 or more, got 0"),
        ("ema_decay=1.0", r"ema_decay: must be in \[0, 1\)"),
        ('preset="vanila"', "preset: 'vanila' is unknown"),
        ('preset="vanilla+"', "is unknown"),
        ('precision="fp16"', "precision: must be one of 'fp32', 'bf16'"),
        ("data.crops=1", "unknown key; did you mean 'crop'"),
        ("curriculum.warmup_steps=0", r"needs warmup_steps of 1 or more"),
    ],
)
def test_a_recipe_that_is_no_run_is_refused_with_the_reason(change, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe("smoke", [change])


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(ConfigError, match="no such recipe; shipped are imagenet100_256, "):
        load_recipe("imagenet")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(tmp_path / "absent.toml"))
