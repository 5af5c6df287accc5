"""Does the batched probe learn what single probes learn, and report it honestly?"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from provq_protein.errors import ConfigError
from structtokenbench.items import ChainTokens, Item
from structtokenbench.probe import ProbeItem, ProbeSettings, make_item, run_probe
from structtokenbench.probe.fused import CHUNK, DropoutPool, fused_gradients, fused_outputs
from structtokenbench.probe.head import HeadParameters, embed, initial_parameters, perceptron, pool
from structtokenbench.probe.inputs import lay_out
from structtokenbench.probe.losses import replica_losses, row_weights
from structtokenbench.probe.optimizer import ReplicaAdamW, rate_factor
from structtokenbench.probe.run import choose_rate
from structtokenbench.probe.training import Trainer
from structtokenbench.probe.training import _Keeper as Keeper

CODES = 20
TABLE = np.random.default_rng(0).normal(size=(CODES, 8)).astype(np.float32)
SMALL = ProbeSettings(
    learning_rates=(1e-2, 1e-3), seeds=(0, 1), steps=60, evaluations=3, resamples=50, hidden=32
)


def task_of(target="binary", level="residue", outputs=1):
    metric = {"binary": "auroc", "regression": "spearman", "classes": "macro_f1"}[target]
    return SimpleNamespace(
        name="synthetic",
        level=level,
        target=target,
        metric=metric,
        num_outputs=outputs,
        train="train",
        validation="validation",
    )


def chains(count, label, *, seed, level="residue"):
    """Give items whose labels are a function of their ids."""
    draw = np.random.default_rng(seed)
    out = []
    for index in range(count):
        ids = draw.integers(0, CODES, draw.integers(20, 60))
        labels = np.asarray(label(ids), np.float32).reshape(-1)
        name = f"{seed}_{index}"
        out.append(
            ProbeItem(
                id=name,
                protein=name,
                ids=ids,
                features=None,
                mask=np.ones(len(ids), bool),
                labels=labels,
            )
        )
    return out


def binary(ids):
    return ids % 5 == 0


def suite(label=binary, **more):
    names = ("train", "validation", "fold_test")
    return {
        name: chains(n, label, seed=seed, **more)
        for seed, (name, n) in enumerate(zip(names, (40, 16, 16), strict=True))
    }


def test_labels_that_are_a_function_of_the_id_are_learned():
    result = run_probe(task_of(), suite(), TABLE, replace(SMALL, steps=150))
    estimate = result.splits["fold_test"].estimates["pooled"]
    assert estimate.value > 0.95
    assert len(estimate.per_seed) == 2
    assert estimate.low <= estimate.value <= estimate.high
    assert set(result.splits) == {"fold_test"}


def test_shuffled_tokens_are_near_chance():
    items = suite()
    draw = np.random.default_rng(9)
    shuffled = {
        split: [replace(one, ids=draw.permutation(one.ids)) for one in some]
        for split, some in items.items()
    }
    result = run_probe(task_of(), shuffled, TABLE, SMALL)
    assert abs(result.splits["fold_test"].estimates["pooled"].value - 0.5) < 0.1


def test_a_regression_is_learned_and_nan_labels_are_ignored():
    values = np.random.default_rng(1).normal(size=CODES)

    def label(ids):
        out = values[ids].astype(np.float32)
        out[::7] = np.nan
        return out

    result = run_probe(task_of("regression"), suite(label), TABLE, replace(SMALL, steps=300))
    split = result.splits["fold_test"]
    assert split.estimates["pooled"].value > 0.9
    assert split.estimates["r_squared"].value > 0.7
    assert split.labelled == split.scored == len(result.predictions["fold_test"].labels)
    assert split.coverage == 1


def test_classes_of_whole_chains_are_learned():
    def chain(ids):
        return [ids[0] % 4]

    items = suite(chain)
    # The class shows in every residue, not only in the first.
    for some in items.values():
        for index, one in enumerate(some):
            ids = one.ids // 4 * 4 + int(one.labels[0])
            some[index] = replace(one, ids=np.minimum(ids, CODES - 1))
    task = task_of("classes", "chain", 4)
    result = run_probe(task, items, TABLE, replace(SMALL, steps=150, chain_batch_size=8))
    estimates = result.splits["fold_test"].estimates
    assert estimates["pooled"].value > 0.9
    assert "per_protein" not in estimates


def test_features_stand_for_codes():
    items = {
        split: [replace(one, ids=None, features=TABLE[one.ids]) for one in some]
        for split, some in suite().items()
    }
    by_features = run_probe(task_of(), items, None, SMALL)
    by_ids = run_probe(task_of(), suite(), TABLE, SMALL)
    assert by_features.to_mapping() == by_ids.to_mapping()


def test_without_a_table_ids_become_one_hot():
    result = run_probe(task_of(), suite(), None, SMALL)
    explicit = run_probe(task_of(), suite(), np.eye(CODES, dtype=np.float32), SMALL)
    assert result.to_mapping() == explicit.to_mapping()


def test_the_same_settings_give_the_same_result_and_another_seed_another():
    first = run_probe(task_of(), suite(), TABLE, SMALL).to_mapping()
    assert run_probe(task_of(), suite(), TABLE, SMALL).to_mapping() == first
    assert json.loads(json.dumps(first, allow_nan=False)) == json.loads(json.dumps(first))
    other = run_probe(task_of(), suite(), TABLE, replace(SMALL, seeds=(5, 6))).to_mapping()
    assert other["validation"] != first["validation"]


@pytest.mark.parametrize("level", ["residue", "chain"])
def test_batched_replicas_equal_probes_trained_alone(level):
    task = task_of(level=level)
    items = suite(binary if level == "residue" else lambda ids: [ids[0] % 2])
    settings = replace(SMALL, steps=20, chain_batch_size=8)
    train, validation = (lay_out(items[s], level=level, where=s) for s in ("train", "validation"))
    table = torch.from_numpy(TABLE)
    together = Trainer(task, table, settings, 8).fit(train, validation)
    for r, rate in enumerate(settings.learning_rates):
        for s, seed in enumerate(settings.seeds):
            alone = replace(settings, learning_rates=(rate,), seeds=(seed,))
            single = Trainer(task, table, alone, 8).fit(train, validation)
            for name, value in single.parameters.named().items():
                joint = together.parameters.named()[name][r * len(settings.seeds) + s]
                torch.testing.assert_close(joint, value[0], rtol=0, atol=1e-5)
            assert together.values[r, s] == pytest.approx(single.values[0, 0], abs=1e-5)
            assert together.best_step[r, s] == single.best_step[0, 0]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("dropped", [True, False])
def test_fused_gradients_equal_automatic_differentiation(binary, dropped):
    parameters = initial_parameters((0, 1), 2, dim=6, positions=4, hidden=16, outputs=1)
    for value in parameters.named().values():
        value.requires_grad_()
    rows = CHUNK + 37
    inputs = torch.randn(4, rows, 6, generator=torch.Generator().manual_seed(1))
    inputs.requires_grad_()
    labels = (torch.arange(rows) % 3 == 0).float()
    target = "binary" if binary else "regression"
    mask, dropout = None, None
    if dropped:
        settings = {"pool_seed": 3, "device": "cpu"}
        twin = DropoutPool(0.25, 16, (0, 1), **settings)
        dropout = DropoutPool(0.25, 16, (0, 1), **settings)
        chunks = [torch.cat([twin.rows(a, CHUNK), twin.rows(b, 37)]) for a, b in twin.starts(2)]
        mask = torch.stack(chunks).repeat(2, 1, 1) * twin.scale
        assert 0.7 < (mask > 0).float().mean() < 0.8
    losses = replica_losses(perceptron(parameters, inputs, mask), labels, target)
    losses.sum().backward()
    fused = fused_gradients(
        parameters,
        inputs.detach(),
        labels,
        row_weights(labels, target),
        binary=binary,
        dropout=dropout,
    )
    torch.testing.assert_close(fused.losses, losses.detach())
    torch.testing.assert_close(fused.inputs, inputs.grad)
    for name, gradient in fused.parameters.items():
        torch.testing.assert_close(gradient, parameters.named()[name].grad, atol=1e-5, rtol=1e-4)
    plain = perceptron(parameters, inputs)[..., 0].detach()
    torch.testing.assert_close(fused_outputs(parameters, inputs), plain)


def test_the_head_is_the_published_one():
    """The published head written with torch modules, one replica at a time."""
    parameters = initial_parameters((3,), 1, dim=8, positions=700, hidden=512, outputs=5)
    norm = torch.nn.LayerNorm(8, eps=1e-12)
    first, second = torch.nn.Linear(8, 512), torch.nn.Linear(512, 5)
    with torch.no_grad():
        first.weight.copy_(parameters.hidden_weight[0].T)
        first.bias.copy_(parameters.hidden_bias[0, 0])
        second.weight.copy_(parameters.out_weight[0].T)
        second.bias.copy_(parameters.out_bias[0, 0])
    codes = torch.from_numpy(TABLE)[:6]
    position = torch.tensor([0, 1, 698, 699, 700, 5000])
    rows = norm(codes + parameters.positions[0][position.clamp(max=699)])
    found = embed(parameters, codes, position)
    torch.testing.assert_close(found[0], rows)
    item = torch.tensor([0, 0, 1, 1, 1, 1])
    mean = torch.stack([rows[:2].mean(0), rows[2:].mean(0)])
    pooled = pool(found, item, 2)
    torch.testing.assert_close(perceptron(parameters, pooled)[0], second(first(mean).relu()))
    assert parameters.positions.std() == pytest.approx(1, abs=0.05)
    assert parameters.hidden_weight.abs().max() <= 8**-0.5


def test_the_loss_weights_the_classes_of_a_batch():
    outputs = torch.randn(2, 10, 1, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([1.0] * 2 + [0.0] * 8)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        outputs[0, :, 0], labels, weight=torch.where(labels > 0, 10 / 4, 10 / 16)
    )
    assert replica_losses(outputs, labels, "binary")[0] == pytest.approx(float(each))
    assert row_weights(torch.zeros(4), "binary").tolist() == [0.125] * 4
    assert row_weights(torch.ones(4), "regression").tolist() == [0.25] * 4


def test_the_optimizer_equals_torch_for_each_replica():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2, 3, 4, generator=generator)
    mine = {"hidden_weight": start.clone(), "hidden_bias": start[:, :1].clone()}
    rates = (0.1, 0.01)
    optimizer = ReplicaAdamW(mine, torch.tensor(rates), weight_decay=0.01, clip=1.0)
    twins = []
    for replica, rate in enumerate(rates):
        weight = torch.nn.Parameter(start[replica].clone())
        bias = torch.nn.Parameter(start[replica, :1].clone())
        groups = [{"params": [weight]}, {"params": [bias], "weight_decay": 0.0}]
        twin = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        twins.append((weight, bias, twin))
    for _ in range(5):
        gradients = {n: torch.randn(p.shape, generator=generator) for n, p in mine.items()}
        for replica, (weight, bias, twin) in enumerate(twins):
            weight.grad = gradients["hidden_weight"][replica].clone()
            bias.grad = gradients["hidden_bias"][replica].clone()
            torch.nn.utils.clip_grad_norm_([weight, bias], 1.0)
            twin.step()
        optimizer.step(gradients, 1.0)
    for replica, (weight, bias, _) in enumerate(twins):
        torch.testing.assert_close(mine["hidden_weight"][replica], weight.detach())
        torch.testing.assert_close(mine["hidden_bias"][replica], bias.detach())


def test_the_published_schedule():
    factor = {
        s: rate_factor(s, steps=10_000, warmup=200) for s in (1, 100, 200, 1200, 5600, 10_000)
    }
    assert factor[1] == pytest.approx(1 / 200)
    assert factor[100] == 0.5
    assert factor[200] == factor[1200] == 1
    assert factor[5600] == pytest.approx(0.55)
    assert factor[10_000] == pytest.approx(0.1)


def test_the_published_preset_trains_as_published():
    settings = ProbeSettings.preset("published")
    assert settings.num_steps(1353, "residue") == 10_000
    assert len(settings.learning_rates) == 8
    # After every epoch of 169 whole batches, and after the last step.
    assert sorted(settings.evaluation_steps(1353, "residue"))[:2] == [169, 338]
    assert max(settings.evaluation_steps(1353, "residue")) == 10_000
    result = run_probe(task_of(), suite(), TABLE, replace(settings, steps=30, hidden=8))
    assert result.criterion == "f1"
    assert len(result.validation) == 8


def test_the_rate_is_chosen_by_the_mean_over_seeds():
    values = np.array([[0.9, 0.1], [0.6, 0.6], [-np.inf, 0.99]])
    assert choose_rate(values) == 1


def test_a_rate_that_diverges_is_not_chosen():
    values = np.random.default_rng(1).normal(size=CODES)
    settings = replace(SMALL, learning_rates=(1e30, 1e-2))
    result = run_probe(task_of("regression"), suite(lambda i: values[i]), TABLE, settings)
    assert result.learning_rate == 1e-2
    json.dumps(result.to_mapping(), allow_nan=False)


def test_a_test_split_of_one_class_gives_nan_and_a_note():
    items = suite()
    items["fold_test"] = [replace(i, labels=np.zeros_like(i.labels)) for i in items["fold_test"]]
    split = run_probe(task_of(), items, TABLE, SMALL).splits["fold_test"]
    assert np.isnan(split.estimates["pooled"].value)
    assert split.note
    assert split.to_mapping()["estimates"]["pooled"]["value"] is None


def test_a_validation_split_of_one_class_selects_by_loss():
    items = suite()
    flat = [replace(i, labels=np.zeros_like(i.labels)) for i in items["validation"]]
    result = run_probe(task_of(), items | {"validation": flat}, TABLE, SMALL)
    assert result.criterion == "loss"
    assert np.isfinite(result.splits["fold_test"].estimates["pooled"].value)


def test_residues_without_token_are_not_scored_but_counted():
    items = suite()
    for some in items.values():
        for index, one in enumerate(some):
            mask = np.arange(len(one.ids)) % 4 != 0
            some[index] = replace(one, mask=mask, ids=np.where(mask, one.ids, 0))
    result = run_probe(task_of(), items, TABLE, SMALL)
    split = result.splits["fold_test"]
    assert split.coverage == pytest.approx(0.75, abs=0.02)
    assert split.scored == sum(int(i.mask.sum()) for i in items["fold_test"])
    rows = lay_out(items["train"][:1], level="residue", where="x")
    # The position of a residue does not depend on which others have tokens.
    assert rows.position[:6].tolist() == [1, 2, 3, 5, 6, 7]


def test_an_item_that_loses_every_row_keeps_its_place_in_the_batches():
    items = suite()
    empty = items["fold_test"][0]
    items["fold_test"][0] = replace(empty, mask=np.zeros_like(empty.mask))
    result = run_probe(task_of(), items, TABLE, SMALL)
    assert result.predictions["fold_test"].item[0] == 1
    assert result.splits["fold_test"].items == 16
    assert result.splits["fold_test"].scored < result.splits["fold_test"].labelled


def test_items_longer_than_the_settings_allow_are_reported():
    items = suite()
    result = run_probe(task_of(), items, TABLE, replace(SMALL, max_residues=50))
    long = {i.id for some in items.values() for i in some if len(i.mask) > 50}
    assert long == {problem.id for problem in result.left_out}
    assert "max_residues 50" in result.left_out[0].reason


def test_make_item_cuts_to_the_residues_of_the_item():
    residues = np.array([False, True, True, False])
    item = Item(id="d1", chain="1abc_A", labels=np.arange(4, dtype=np.float32), residues=residues)
    tokens = ChainTokens(ids=np.array([7, 8, 9, 6]), features=None, mask=np.ones(4, bool))
    made = make_item(item, tokens, level="residue")
    assert made.ids.tolist() == [8, 9]
    assert made.labels.tolist() == [1, 2]
    assert made.protein == "1abc_A"
    whole = replace(item, labels=np.array([3], np.float32))
    assert make_item(whole, tokens, level="chain").labels.tolist() == [3]


@pytest.mark.parametrize("wrong", ["ids", "mask", "features", "labels", "nothing"])
def test_lengths_that_differ_are_named(wrong):
    values = {
        "ids": np.zeros(4, np.int64),
        "features": np.zeros((4, 2), np.float32),
        "mask": np.ones(4, bool),
    }
    labels, match = np.zeros(4, np.float32), r"item d1: .*3.*4"
    if wrong == "labels":
        labels = labels[:3]
    elif wrong == "nothing":
        values.update(ids=None, features=None)
        match = "item d1: .*neither"
    else:
        values[wrong] = values[wrong][:3]
    item = Item(id="d1", chain="1abc_A", labels=labels, residues=np.ones(4, bool))
    with pytest.raises(ValueError, match=match):
        make_item(item, ChainTokens(**values), level="residue")


def test_what_cannot_be_probed_says_why():
    items = suite()
    with pytest.raises(ValueError, match="split 'validation' has no item"):
        run_probe(task_of(), {"train": items["train"]}, TABLE, SMALL)
    with pytest.raises(ValueError, match="code table has 3 rows"):
        run_probe(task_of(), items, TABLE[:3], SMALL)
    with pytest.raises(ValueError, match="outputs per residue"):
        run_probe(task_of("classes", outputs=4), items, TABLE, SMALL)
    twos = [replace(i, labels=i.labels * 2) for i in items["train"]]
    with pytest.raises(ValueError, match=r"label 2\.0 is none of the classes 0 to 1"):
        run_probe(task_of(), items | {"train": twos}, TABLE, SMALL)


@pytest.mark.parametrize(
    "wrong", [{"seeds": ()}, {"learning_rates": (0.1, 0.1)}, {"dropout": 1.0}, {"steps": 0}]
)
def test_settings_that_cannot_be_trained_with_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ProbeSettings(**wrong)
    with pytest.raises(ConfigError, match="no preset"):
        ProbeSettings.preset("slow")


def test_another_split_can_be_trained_on():
    items = suite()
    local = {f"local_{name}": some for name, some in items.items()}
    result = run_probe(
        task_of(), local, TABLE, SMALL, train="local_train", validation="local_validation"
    )
    assert set(result.splits) == {"local_fold_test"}


def test_small_codes_can_be_scaled_to_the_positions():
    small = TABLE * 1e-3
    plain = run_probe(task_of(), suite(), small, SMALL)
    scaled = run_probe(task_of(), suite(), small, replace(SMALL, normalize_table=True))
    values = [r.splits["fold_test"].estimates["pooled"].value for r in (plain, scaled)]
    assert values[0] < 0.75 < values[1]


def test_parameters_are_copied_and_not_shared():
    parameters = initial_parameters((0, 1), 2, dim=2, positions=3, hidden=4, outputs=1)
    assert isinstance(parameters.take(torch.tensor([0])), HeadParameters)
    copy = parameters.take(torch.tensor([2]))
    torch.testing.assert_close(copy.positions[0], parameters.positions[0])
    copy.positions.zero_()
    assert parameters.positions[2].abs().sum() > 0


def test_the_best_checkpoint_is_kept_for_each_replica():
    settings = replace(SMALL, learning_rates=(1e-2,))
    parameters = initial_parameters((0, 1), 1, dim=2, positions=3, hidden=4, outputs=1)
    rows = lay_out(suite()["validation"], level="residue", where="validation")
    keeper = Keeper(task_of(), settings, rows)
    right, wrong = rows.labels[:, None], -rows.labels[:, None]
    for step, outputs in ((1, [right, wrong]), (2, [wrong, right]), (3, [right, wrong])):
        parameters.gain.fill_(step)
        keeper.offer(step, parameters, np.stack(outputs))
    trained = keeper.trained(3)
    assert trained.best_step.tolist() == [[1, 2]]
    assert trained.values.tolist() == [[1, 1]]
    assert trained.parameters.gain[:, 0, 0].tolist() == [1, 2]
