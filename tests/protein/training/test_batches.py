"""Batches: a pure function of seed and step; every chain once an epoch; masks are right."""

import numpy as np
import pytest
import torch

from provq_protein.training.batches import BatchPlan


@pytest.fixture
def make_plan(tiny_store):
    """Return a function that builds a plan over the tiny store."""

    def build(**changes):
        settings = {"seed": 0, "residues": 128, "crop": 48, "noise": 0.0, **changes}
        return BatchPlan(tiny_store, tiny_store.select("train"), **settings)

    return build


def test_a_step_gives_the_same_batch_whatever_was_asked_before(make_plan):
    plan, fresh = make_plan(noise=0.1), make_plan(noise=0.1)
    for step in range(20):
        plan.batch(step)
    for step in (17, 3, 11):
        assert torch.equal(plan.batch(step).coords, fresh.batch(step).coords)


def test_another_seed_gives_other_batches(make_plan):
    first, second = make_plan(seed=0), make_plan(seed=1)
    assert any(
        first.batch(step).coords.shape != second.batch(step).coords.shape
        or not torch.equal(first.batch(step).coords, second.batch(step).coords)
        for step in range(4)
    )


def test_an_epoch_holds_every_training_chain_once(make_plan, tiny_store):
    plan = make_plan()
    chains = np.concatenate(plan._plan_epoch(0))
    assert sorted(chains.tolist()) == tiny_store.select("train").tolist()


def test_batches_stay_within_the_budget(make_plan):
    plan = make_plan(residues=128, crop=48)
    for step in range(12):
        rows, length = plan.batch(step).present.shape
        assert rows * length <= 128
        assert length <= 48


def test_a_chain_longer_than_the_budget_is_a_batch_of_its_own(make_plan):
    batch = make_plan(residues=20, crop=48).batch(0)
    assert batch.present.shape[0] == 1


def test_masks_say_what_is_padding_and_what_is_unresolved(make_plan):
    plan = make_plan(crop=500, residues=500)
    seen_gap = False
    for step in range(6):
        batch = plan.batch(step)
        assert not (batch.resolved & ~batch.present).any()
        assert (batch.coords[~batch.resolved] == 0).all()
        seen_gap |= bool((batch.present & ~batch.resolved).any())
    assert seen_gap


def test_noise_has_the_stated_size(make_plan):
    clean, noisy = make_plan(noise=0.0).batch(0), make_plan(noise=0.5).batch(0)
    difference = (noisy.coords - clean.coords)[clean.resolved]
    assert difference.std().item() == pytest.approx(0.5, rel=0.1)
