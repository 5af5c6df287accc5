"""Does DistributedDataParallel train the image model and its discriminator at every stage?"""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from provq_protein.quantize import ProgressiveSchedule
from provq_vision.model import CodebookConfig, ImageAutoencoder, ImageModelConfig, NetworkConfig
from provq_vision.model.discriminator import DiscriminatorConfig, PatchDiscriminator
from provq_vision.model.objective import LLAMAGEN_LOSS, judgment_loss, reconstruction_loss
from provq_vision.model.perceptual import NoPerceptualLoss

SECONDS = 120
# A step of the warm-up, two of the transition, one that is hard.
SCHEDULE = ProgressiveSchedule(
    warmup_steps=1, transition_steps=2, shape="cosine", initial_coupling=0.5
)
NETWORK = NetworkConfig(
    channels=8, multipliers=(1, 2), res_blocks=1, latent_channels=8, norm_groups=4, patch=1
)
METHODS = ("vanilla", "vanilla_l2", "simvq", "fsq")


def gradients(method: str, *, together: bool) -> list[torch.Tensor]:
    """Return the gradients of four steps, the same weights at each."""
    codebook = CodebookConfig(method=method, size=16, dim=4, commitment_weight=0.25)  # pyright: ignore[reportArgumentType]
    config = ImageModelConfig(network=NETWORK, codebook=codebook)
    model = ImageAutoencoder.build(config, schedule=SCHEDULE).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 16, 16, generator=generator) * 2 - 1
    if together:
        images = images.chunk(2)[distributed.get_rank()]
        model = DistributedDataParallel(model)
    found = []
    for step in range(4):
        model.zero_grad()
        output = model(images, step=step)
        ((output.images - images).square().mean() + output.quantization_loss).backward()
        found += [each.grad.clone() for each in model.parameters()]
    return found


def adversarial_steps() -> list[torch.Tensor]:
    """Return the weights of a discriminator after two steps of both sides."""
    codebook = CodebookConfig(method="vanilla", size=16, dim=4, commitment_weight=0.25)
    config = ImageModelConfig(network=NETWORK, codebook=codebook)
    model = DistributedDataParallel(ImageAutoencoder.build(config, schedule=SCHEDULE).train())
    judge = PatchDiscriminator.build(DiscriminatorConfig(channels=4, layers=2))
    wrapped = DistributedDataParallel(judge, broadcast_buffers=False)
    optimizers = [torch.optim.Adam(each.parameters(), lr=1e-3) for each in (model, wrapped)]
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images = images + 0.1 * distributed.get_rank()
    for step in range(20_000, 20_002):
        output = model(images, step=step)
        loss = reconstruction_loss(
            output.images,
            images,
            LLAMAGEN_LOSS,
            step=step,
            perceptual=NoPerceptualLoss(),
            discriminator=judge,
        )
        optimizers[0].zero_grad()
        (loss.total + output.quantization_loss).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        judgment_loss(wrapped, output.images, images, LLAMAGEN_LOSS, step=step).backward()
        optimizers[1].step()
    return [each.detach() for each in (*model.parameters(), *judge.parameters())]


def work(folder: Path) -> None:
    """Do what one of two processes does, and write it down."""
    rank = int(os.environ["RANK"])
    store = distributed.FileStore(str(folder / "store"), 2)
    distributed.init_process_group(
        "gloo", rank=rank, world_size=2, store=store, timeout=timedelta(seconds=SECONDS)
    )
    found = {method: gradients(method, together=True) for method in METHODS}
    found["adversarial"] = adversarial_steps()
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", __file__, str(folder)],
            env=os.environ
            | {"RANK": str(rank), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=SECONDS)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_two_processes_are_those_of_one_with_the_whole_batch(method, results):
    alone = gradients(method, together=False)
    for first, second, expected in zip(results[0][method], results[1][method], alone, strict=True):
        assert torch.equal(first, second)
        torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_both_sides_of_an_adversarial_training_stay_the_same_in_both_processes(results):
    for first, second in zip(*(each["adversarial"] for each in results), strict=True):
        assert torch.equal(first, second)
        assert bool(torch.isfinite(first).all())


if __name__ == "__main__":
    work(Path(sys.argv[1]))
