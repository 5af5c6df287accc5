"""Do two processes of one training get what one process with the whole batch gets?"""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from provq_protein.quantize import (
    Codebook,
    CodeUsage,
    LinearCodebook,
    ProgressiveQuantizer,
    ProgressiveSchedule,
)
from provq_protein.quantize.batch_usage import BatchUsage
from provq_protein.quantize.distributed import (
    copy_from_first,
    gathered,
    is_first,
    on_first,
    summed,
    world_size,
)
from provq_protein.quantize.ema_codebook import EmaCodebook

SECONDS = 120
SCHEDULE = ProgressiveSchedule(
    warmup_steps=0, transition_steps=10, shape="cosine", initial_coupling=0.5
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed))


def mine(rows):
    """Return the rows of this process: a third and the rest, or all where there is one process."""
    if world_size() == 1:
        return rows
    cut = rows.shape[0] // 3
    return rows[:cut] if is_first() else rows[cut:]


# ------------------------------------------------- what each process does; keys name the results


def reductions():
    rank = 0 if is_first() else 1
    many = torch.arange(rank * 3)[:, None] + torch.tensor([[0, 10 * rank]])
    unequal = torch.ones(2 + 3 * rank, 2, 2)[::2].transpose(1, 2) * rank
    counts = torch.tensor([2**53 + 1, rank], dtype=torch.int64)
    transposed = torch.arange(6.0).reshape(2, 3).T
    result = {
        "sum": summed(counts),
        "addend": counts,
        "sum.transposed": summed(transposed),
        "sum.scalar": summed(torch.tensor(1.5)),
        "sum.empty": summed(torch.empty(0, 3)),
        "rows.none_in_first": gathered(many),
        "rows.unequal": gathered(unequal),
        "rows.bool": gathered(torch.tensor([True, False, True])[: 2 + rank]),
        "rows.none": gathered(torch.empty(0, 3)),
        "rows.no_dim": gathered(torch.empty(2 + rank, 0)),
    }
    module = nn.Linear(2, 3)
    nn.init.constant_(module.weight, 1.0 + rank)
    module.register_buffer("flags", torch.tensor([rank == 0, rank == 1]))
    module.register_buffer("steps", torch.tensor(2**40 + rank))
    module.register_buffer("turned", torch.full((2, 3), float(rank)).T)
    module.register_buffer("nothing", torch.empty(0))
    copy_from_first(module)
    return result | {f"copy.{key}": value for key, value in module.state_dict().items()}


def failures():
    done = []
    on_first(lambda: done.append(True))
    return {"on_first": torch.tensor(len(done)), "failed": raised(lambda: on_first(_fail))}


def _fail():
    msg = "no luck"
    raise ValueError(msg)


def raised(action):
    """Return the message of an exception, as bytes."""
    try:
        action()
    except (ValueError, RuntimeError) as error:
        return torch.tensor(list(f"{type(error).__name__}: {error}".encode()), dtype=torch.uint8)
    return torch.empty(0, dtype=torch.uint8)


def quantizer(book):
    torch.manual_seed(3)
    made = ProgressiveQuantizer(book(), SCHEDULE, latent_dim=5)
    made.codebook.seed(normal(4, 3, seed=1))
    return made


def gradients(step):
    """Average the gradients of the processes, as DistributedDataParallel does."""
    made = quantizer(lambda: LinearCodebook(4, 3))
    latents = normal(9, 7, 5, seed=4)
    mask = torch.rand(9, 7, generator=rng(5)) < 0.6
    # The first third is nearly all padding.
    mask[:3, 1:] = False
    latents[0, 3] = torch.nan
    share = mine(latents).requires_grad_()
    out = made(share, step=step, mask=mine(mask))
    reconstruction = out.latents[mine(mask)].square().sum() * world_size() / int(mask.sum())
    (made.vq_loss(out) + reconstruction).backward()
    found = {f"latents.{step}": gathered(share.grad) / world_size()}
    for name, parameter in made.named_parameters():
        found[f"{name}.{step}"] = summed(parameter.grad) / world_size()
    return found


def seeding():
    made = quantizer(lambda: Codebook(4, 3))
    sample = normal(200, 5, seed=6)
    generator = rng(7)
    made.seed(mine(sample), generator)
    drawn = torch.rand(3, generator=generator)
    broken = sample.clone()
    broken[150, 2] = torch.nan
    error = raised(lambda: made.seed(mine(broken), rng(7)))
    nothing = raised(lambda: made.seed(mine(broken[:0]), rng(7)))
    codes = made.codebook.codes().detach()
    return {"seeded": codes, "drawn": drawn, "nan": error, "empty": nothing}


def learning():
    """Update books over three batches, in one of which the first process has no latent."""
    revived = Codebook(12, 3, revive_after=1)
    ema = EmaCodebook(12, 3, decay=0.9, revive_after=1)
    found = {}
    for book in (revived, ema):
        book.seed(normal(12, 3, seed=8))
        for batch, rows in enumerate((12, 2, 30)):
            latents = mine(normal(rows, 3, seed=9 + batch))
            moved = book.update(latents, book.nearest(latents), generator=rng(batch))
            found[f"{type(book).__name__}.{batch}"] = moved
        for key, value in book.state_dict().items():
            found[f"{type(book).__name__}.{key}"] = value
    return found


def usage():
    indices = torch.randint(10, (90,), generator=rng(12))
    pooled, batches = CodeUsage(10), BatchUsage(10)
    pooled.add(mine(indices))
    for batch in mine(indices.reshape(9, 10)):
        batches.add(batch)
    every = batches.reduced()
    return {
        "usage": pooled.reduced().counts,
        "batches": torch.tensor(every.batches),
        "batch_usage": torch.tensor(
            [every.batch_perplexity, every.batch_utilization, every.latents_per_batch],
            dtype=torch.float64,
        ),
    }


def results():
    found = {"world": torch.tensor(world_size())}
    parts = (reductions(), failures(), gradients(4), gradients(10), seeding(), learning(), usage())
    for part in parts:
        found |= part
    return found


def main(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=SECONDS),
    )
    torch.save(results(), folder / f"rank{rank}.pt")
    distributed.destroy_process_group()


# ------------------------------------------------------------------------------------ comparisons


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    if not distributed.is_available() or not distributed.is_gloo_available():
        pytest.skip("this torch was built without gloo")
    folder = tmp_path_factory.mktemp("processes")
    # Both are on this machine, whose name need not resolve.
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    environment = {**loopback, **os.environ}
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=SECONDS)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
    assert [process.returncode for process in started] == [0, 0], "\n".join(outputs)
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def alone():
    return results()


def test_there_were_two_processes(both, alone):
    assert [int(found["world"]) for found in (*both, alone)] == [2, 2, 1]


def test_sums_are_exact_and_leave_the_addends(both):
    for rank, found in enumerate(both):
        assert found["sum"].tolist() == [2**54 + 2, 1]
        assert found["addend"].tolist() == [2**53 + 1, rank]
        assert torch.equal(found["sum.transposed"], 2 * torch.arange(6.0).reshape(2, 3).T)
        assert found["sum.scalar"].item() == 3.0
        assert found["sum.empty"].shape == (0, 3)


def test_rows_come_in_the_order_of_ranks(both):
    for found in both:
        assert found["rows.none_in_first"].tolist() == [[0, 10], [1, 11], [2, 12]]
        assert found["rows.unequal"][:, 0, 0].tolist() == [0, 1, 1, 1]
        assert found["rows.bool"].tolist() == [True, False, True, False, True]
        assert found["rows.bool"].dtype == torch.bool
        assert found["rows.none"].shape == (0, 3)
        assert found["rows.no_dim"].shape == (5, 0)


def test_modules_become_that_of_the_first(both):
    for found in both:
        assert found["copy.weight"].tolist() == [[1.0, 1.0]] * 3
        assert found["copy.flags"].tolist() == [True, False]
        assert found["copy.steps"].item() == 2**40
        assert found["copy.turned"].tolist() == [[0.0, 0.0]] * 3
    assert torch.equal(both[0]["copy.bias"], both[1]["copy.bias"])


def test_a_failure_of_the_first_process_is_known_to_all(both, alone):
    assert [int(found["on_first"]) for found in (*both, alone)] == [1, 0, 1]
    first, second, single = (bytes(found["failed"].tolist()).decode() for found in (*both, alone))
    assert first == single == "ValueError: no luck"
    assert second.startswith("RuntimeError: the process of rank 0 failed")


@pytest.mark.parametrize("step", [4, 10])
def test_averaged_gradients_are_those_of_the_whole_batch(both, alone, step):
    names = [name for name in alone if name.endswith(f".{step}")]
    assert {f"latents.{step}", f"codebook.linear.weight.{step}", f"down.weight.{step}"} <= {*names}
    for name in names:
        assert float(alone[name].abs().max()) > 1e-3, name
        for found in both:
            torch.testing.assert_close(found[name], alone[name], rtol=1e-5, atol=1e-6, msg=name)


def test_seeding_sees_the_samples_of_all_processes(both, alone):
    for found in both:
        assert torch.equal(found["seeded"], alone["seeded"])
        # A generator used for seeding stays the same everywhere.
        assert torch.equal(found["drawn"], alone["drawn"])


@pytest.mark.parametrize(("name", "text"), [("nan", "1 of 200"), ("empty", "is empty")])
def test_a_broken_sample_of_one_process_is_refused_by_all(both, alone, name, text):
    for found in (*both, alone):
        message = bytes(found[name].tolist()).decode()
        assert message.startswith("ValueError") and text in message


@pytest.mark.parametrize("book", ["Codebook", "EmaCodebook"])
def test_books_learn_from_all_processes(both, alone, book):
    names = [name for name in alone if name.startswith(f"{book}.")]
    # The comparison is of something: codes were revived.
    assert any(bool(alone[name].any()) for name in names if name[-1].isdigit())
    for name in names:
        assert torch.equal(both[0][name], both[1][name]), name
        torch.testing.assert_close(both[0][name], alone[name], rtol=1e-5, atol=1e-6, msg=name)


def test_usage_is_pooled_exactly(both, alone):
    for found in both:
        for name in ("usage", "batches", "batch_usage"):
            assert torch.equal(found[name], alone[name]), name
    assert int(alone["usage"].sum()) == 90


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
