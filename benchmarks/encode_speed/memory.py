"""Print the peak memory of encoding one long chain at ESM3's size.

    python benchmarks/encode_speed/memory.py --residues 10000

A process of its own: the peak of a process never falls. It is read from /proc (Linux), since what
`getrusage` tells includes the process that started this one.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation.
    sys.path[:0] = [str(REPOSITORY)]

from provq_protein.model.geometric_encoder import (  # noqa: E402
    GeometricEncoder,
    GeometricEncoderConfig,
)

_COMPACTNESS = 0.97  # keeps a random walk of CA steps as dense as a protein, roughly


def random_chain(residues: int, *, seed: int) -> Tensor:
    """
    Draw a chain of random steps that stays compact.

    Parameters
    ----------
    residues : int
        How many.
    seed : int
        Decides the steps.

    Returns
    -------
    Tensor, shape=(1, residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = functional.normalize(torch.randn(residues, 3, generator=generator), dim=1) * 3.8
    alpha = [torch.zeros(3)]
    for step in steps[1:]:
        alpha.append(_COMPACTNESS * alpha[-1] + step)
    places = torch.stack(alpha)
    offsets = torch.randn(residues, 2, 3, generator=generator)
    return torch.stack([places + offsets[:, 0], places, places + offsets[:, 1]], dim=1)[None]


def peak_bytes() -> int:
    """
    Return the most memory that this program has had so far.

    Returns
    -------
    int
        Bytes in RAM.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024  # the kernel counts in KiB
    msg = "/proc/self/status has no VmHWM: this needs Linux"
    raise OSError(msg)


def main(argv: list[str] | None = None) -> int:
    """
    Encode and print one line of JSON.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--residues", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    encoder = GeometricEncoder(GeometricEncoderConfig(latent_dim=128)).eval()
    coords = random_chain(args.residues, seed=args.seed)
    before = peak_bytes()
    everywhere = torch.ones(1, args.residues, dtype=torch.bool)
    with torch.inference_mode():
        encoder(coords, everywhere, torch.arange(args.residues)[None], everywhere)
    print(json.dumps({"residues": args.residues, "model": before, "peak": peak_bytes()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
