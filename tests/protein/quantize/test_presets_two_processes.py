"""Do two processes that share every batch learn what one process with all of it learns?

Run as a program, this file is one of the processes.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from provq_protein.quantize import METHODS, ProgressiveSchedule, make_quantizer
from provq_protein.quantize.estimators import DiVeQ

METHOD_NAMES = sorted(METHODS)
SIZE, DIM, LATENTS = 64, 4, 60
SCHEDULE = ProgressiveSchedule(
    warmup_steps=1, transition_steps=2, shape="linear", initial_coupling=0.5
)


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def share(values, rank, size):
    """Return a process's part of a batch: unequal parts, in the order of ranks."""
    if size == 1:
        return values
    return values[: len(values) // 3] if rank == 0 else values[len(values) // 3 :]


def learn(name, rank, size):
    """Train a quantizer through all its stages and return its state."""
    torch.manual_seed(0)
    quantizer = make_quantizer(f"{name}+provq", size=SIZE, dim=DIM, schedule=SCHEDULE)
    if isinstance(quantizer.estimator, DiVeQ):
        # Its noise is drawn anew for each batch, which the processes cut differently.
        quantizer.estimator = DiVeQ(noise_variance=0.0)
    parameters = list(quantizer.parameters())
    trained = quantizer
    if size > 1 and parameters:
        # Codes have no gradient in the warm-up.
        trained = nn.parallel.DistributedDataParallel(quantizer, find_unused_parameters=True)
    for step in range(5):
        if step == SCHEDULE.warmup_steps:
            sample = share(normal(300, DIM, seed=99), rank, size)
            quantizer.seed(sample, torch.Generator().manual_seed(0))
        latents = share(normal(LATENTS, DIM, seed=step), rank, size).requires_grad_()
        mask = share(normal(LATENTS, seed=50 + step) > 0.3, rank, size)
        result = trained(latents, step=step, mask=mask)
        # DistributedDataParallel averages over processes; this is a sum over latents.
        weight = share(normal(LATENTS, DIM, seed=70 + step), rank, size)
        loss = size * (result.latents * weight)[mask].sum() / LATENTS + quantizer.vq_loss(result)
        quantizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter -= 0.5 * parameter.grad
        quantizer.update(result, mask=mask, generator=torch.Generator().manual_seed(step))
    return {key: value.detach().clone() for key, value in quantizer.state_dict().items()}


@pytest.fixture(scope="module")
def shared_states(tmp_path_factory):
    """Return what each of two processes ends with, per method."""
    folder = tmp_path_factory.mktemp("two_processes")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder)]
    workers = [
        subprocess.Popen([*command, str(rank)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    complaints = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(complaints)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", METHOD_NAMES)
def test_two_processes_end_with_the_codes_of_one(name, shared_states):
    alone = learn(name, 0, 1)
    for states in shared_states:
        assert list(states[name]) == list(alone)
        for key, value in alone.items():
            torch.testing.assert_close(states[name][key], value, rtol=1e-5, atol=1e-6)


def main(folder, rank):
    """Be one of two processes."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2
    )
    states = {name: learn(name, rank, 2) for name in METHOD_NAMES}
    torch.save(states, folder / f"{rank}.pt")
    with contextlib.suppress(RuntimeError):
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
