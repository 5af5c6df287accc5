"""The autoregressive model: what it sees, what it does not see, and what it can learn."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from provq_vision.generation import GPTS, Gpt
from provq_vision.generation.rotary import grid_turns, turn


def reference_logits(model, labels, tokens):
    """Return logits by formulas written out: complex turns, explicit softmax, no batches."""
    state = {name: value.double() for name, value in model.state_dict().items()}
    config = model.config
    speeds = [config.rope_base ** (-4 * n / config.head_dim) for n in range(config.head_dim // 4)]
    turns = [[0j] * (2 * len(speeds))]
    for place in range(config.tokens):
        row, column = divmod(place, config.grid)
        angles = [row * speed for speed in speeds] + [column * speed for speed in speeds]
        turns.append([complex(math.cos(angle), math.sin(angle)) for angle in angles])
    turns = torch.tensor(turns[: config.tokens], dtype=torch.complex128)

    def norm(x, name):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * state[f"{name}.weight"]

    def turned(x):
        return torch.view_as_real(torch.view_as_complex(x.reshape(len(x), -1, 2)) * turns).flatten(
            1
        )

    found = []
    for label, image in zip(labels, tokens.flatten(1), strict=True):
        first = state["cls_embedding.embedding_table.weight"][label]
        x = torch.cat([first[None], state["tok_embeddings.weight"][image[:-1]]])
        for number in range(config.layers):
            name = f"layers.{number}"
            inner = norm(x, f"{name}.attention_norm")
            mixed = []
            packed = (inner @ state[f"{name}.attention.wqkv.weight"].T).chunk(3, dim=1)
            for q, k, v in zip(
                *(each.split(config.head_dim, dim=1) for each in packed), strict=True
            ):
                scores = turned(q) @ turned(k).T / math.sqrt(config.head_dim)
                hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
                mixed.append(scores.masked_fill(hidden, -math.inf).softmax(-1) @ v)
            x = x + torch.cat(mixed, dim=1) @ state[f"{name}.attention.wo.weight"].T
            inner = norm(x, f"{name}.ffn_norm")
            w1, w2, w3 = (state[f"{name}.feed_forward.w{n}.weight"] for n in (1, 2, 3))
            gate = inner @ w1.T
            x = x + (gate * gate.sigmoid() * (inner @ w3.T)) @ w2.T
        found.append(norm(x, "norm") @ state["output.weight"].T)
    return torch.stack(found)


@torch.no_grad()
def test_logits_are_those_of_the_formulas(model, images):
    expected = reference_logits(model, *images)
    assert expected.std() > 1.0
    torch.testing.assert_close(model(*images).double(), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_logits_with_a_cache_are_those_without(model, images):
    labels, tokens = images
    cache, ids, found = model.new_cache(), labels, []
    for place in range(model.config.tokens):
        found.append(model.next_logits(ids, cache))
        ids = tokens.flatten(1)[:, place]
    torch.testing.assert_close(torch.stack(found, dim=1), model(*images), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="17 positions do not fit into 16"):
        model.next_logits(ids, cache)


@torch.no_grad()
def test_a_cache_belongs_to_one_batch(model, images):
    cache = model.new_cache()
    model.next_logits(images[0], cache)
    with pytest.raises(ValueError, match="began with 3 sequences, got 2"):
        model.next_logits(images[0][:2], cache)


@torch.no_grad()
def test_a_token_changes_all_later_logits_and_no_earlier_one(model, images):
    labels, tokens = images
    before = model(labels, tokens)
    for place in range(model.config.tokens):
        changed = tokens.flatten(1).clone()
        changed[:, place] = (changed[:, place] + 1) % model.config.vocabulary
        after = model(labels, changed.view_as(tokens))
        same = (after == before).all(-1).all(0)
        assert same.tolist() == [other <= place for other in range(model.config.tokens)]


def test_the_class_is_not_turned_but_erased():
    turns = grid_turns(3, 8, base=10_000.0)
    assert turns.cos.shape == turns.sin.shape == (10, 4)
    assert not turns.cos[0].any()
    assert not turns.sin[0].any()
    lengths = turns.cos[1:].square() + turns.sin[1:].square()
    torch.testing.assert_close(lengths, torch.ones(9, 4))
    queries = torch.randn(1, 1, 10, 8, generator=torch.Generator().manual_seed(0))
    turned = turn(queries, turns)
    assert not turned[:, :, 0].any()
    # The first token is at row 0 and column 0: not turned.
    assert torch.equal(turned[:, :, 1], queries[:, :, 1])


def test_products_of_turned_features_depend_on_the_distance_in_the_grid_only():
    grid, generator = 5, torch.Generator().manual_seed(0)
    turns = grid_turns(grid, 8, base=100.0)
    query, key = (torch.randn(1, 1, 1, 8, generator=generator).expand(1, 1, 26, 8) for _ in "qk")
    products = (turn(query, turns)[0, 0] @ turn(key, turns)[0, 0].T)[1:, 1:]
    products = products.view(grid, grid, grid, grid)
    torch.testing.assert_close(products[1:, 1:, 1:, 1:], products[:-1, :-1, :-1, :-1])
    # Rows and columns are told apart.
    assert abs(products[0, 0, 0, 1] - products[0, 0, 1, 0]) > 1e-2


def test_positions_keep_their_precision_in_a_model_of_half_precision(model, images):
    half = model.to(torch.bfloat16)
    assert half.turns().cos.dtype == torch.float32
    assert half(*images).dtype == torch.float32


@torch.no_grad()
def test_an_untrained_model_gives_all_codes_the_same_probability(config, images):
    model = Gpt.build(config)
    assert not model(*images).any()
    assert model.loss(*images).item() == pytest.approx(math.log(config.vocabulary))
    spreads = [weight.std().item() for weight in model.parameters() if weight.ndim > 1]
    assert spreads.count(0.0) == 1
    assert all(spread == pytest.approx(0.02, rel=0.2) for spread in spreads if spread)


def test_a_seed_decides_the_weights_and_no_random_number_is_lost(config):
    state = torch.get_rng_state()
    first, again, other = (Gpt.build(config, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.tok_embeddings.weight, again.tok_embeddings.weight)
    assert not torch.equal(first.tok_embeddings.weight, other.tok_embeddings.weight)


def test_the_loss_is_the_mean_over_all_tokens(model, images):
    labels, tokens = images
    chances = model(*images).log_softmax(-1)
    expected = -chances.gather(-1, tokens.flatten(1).unsqueeze(-1)).mean()
    torch.testing.assert_close(model.loss(labels, tokens.int()), expected)


def test_training_drops_classes_as_the_generator_says(config):
    model = Gpt(dataclasses.replace(config, class_dropout=0.25)).train()
    labels = torch.arange(4000) % config.num_classes
    first, again = (model.drop_classes(labels, torch.Generator().manual_seed(6)) for _ in range(2))
    assert torch.equal(first, again)
    dropped = first == config.null_class
    assert torch.equal(first[~dropped], labels[~dropped])
    # Four standard deviations of a fraction of 4,000.
    assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(model.drop_classes(labels, torch.Generator().manual_seed(7)), first)
    assert model.eval().drop_classes(labels) is labels


def test_a_training_step_can_be_repeated(model, images):
    def loss(seed):
        torch.manual_seed(0)
        return model.train().loss(*images, generator=torch.Generator().manual_seed(seed)).item()

    losses = [loss(seed) for seed in range(8)]
    assert losses == [loss(seed) for seed in range(8)]
    # Dropout is the same in all of them: the classes that are dropped differ.
    assert len(set(losses)) > 1


@torch.no_grad()
def test_a_dropped_class_is_that_of_no_class(config, model, images):
    always = Gpt(dataclasses.replace(config, class_dropout=1.0 - 1e-9, dropout=0.0)).train()
    always.load_state_dict(model.state_dict())
    labels, tokens = images
    none = torch.full_like(labels, config.null_class)
    assert torch.equal(always(labels, tokens), model(none, tokens))
    assert not torch.equal(model(none, tokens)[0], model(labels, tokens)[0])


def test_every_weight_has_a_gradient(model, images):
    model.loss(*images).backward()
    assert all(bool(weight.grad.abs().sum() > 0) for weight in model.parameters())


@pytest.mark.parametrize(
    ("labels", "tokens", "message"),
    [
        ([0], torch.zeros(1, 4, 5).long(), r"expected integers of shape \(batch, 4, 4\), got"),
        ([0], torch.zeros(1, 16).long(), r"tokens: .* of \(1, 16\)"),
        ([0], torch.zeros(1, 4, 4), r"tokens: .* got torch.float32"),
        ([0], torch.full((1, 4, 4), 12), "tokens: 12 is out of range; the model has 12 codes"),
        ([0], torch.full((1, 4, 4), -1), "tokens: -1 is out of range"),
        ([-1], torch.zeros(1, 4, 4).long(), "labels: -1 is out of range; the model has 6 classes"),
        ([6], torch.zeros(1, 4, 4).long(), "labels: 6 is out of range"),
        ([0, 0], torch.zeros(1, 4, 4).long(), r"labels: expected int64 of shape \(1,\), one per"),
        ([0.0], torch.zeros(1, 4, 4).long(), "labels: expected int64"),
    ],
)
def test_what_is_no_image_of_a_class_is_refused(model, labels, tokens, message):
    with pytest.raises(ValueError, match=message):
        model(torch.tensor(labels), tokens)


def test_it_learns_sixteen_random_images_by_heart(config):
    sizes = dataclasses.replace(config, dropout=0.0, class_dropout=0.0, num_classes=16)
    model = Gpt.build(sizes).train()
    tokens = torch.randint(12, (16, 4, 4), generator=torch.Generator().manual_seed(8))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95))
    for _ in range(150):
        optimizer.zero_grad()
        loss = model.loss(torch.arange(16), tokens)
        loss.backward()
        optimizer.step()
    assert model.eval().loss(torch.arange(16), tokens).item() < 0.1


@pytest.mark.slow
def test_gpt_b_takes_a_step_at_256_tokens():
    model = Gpt.build(GPTS["B"]).train()
    tokens = torch.randint(16_384, (1, 16, 16), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95))
    loss = model.loss(torch.tensor([1]), tokens)
    assert loss.item() == pytest.approx(math.log(16_384))
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        logits = model.eval()(torch.tensor([1]), tokens)
    after = functional.cross_entropy(logits[0], tokens.flatten())
    assert after.item() < loss.item()
