"""Print residues per second of the ESM3-size encoder on a GPU, and how near that is to its limit.

    python benchmarks/gpu/encode_speed.py [--residues 200000] [--precision float32 tf32 bfloat16]

The limit is the rate of a large matrix product on the same GPU in the same precision, divided by
the operations that a residue takes. Neighborhoods are gathered once and stay on the GPU: reading
files and finding neighbors are not part of it. Not run where this was written, for want of a GPU.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from encode_speed.memory import random_chain  # noqa: E402

from provq_protein.model.geometric_encoder import (  # noqa: E402
    GeometricEncoder,
    GeometricEncoderConfig,
)
from provq_protein.model.packed_encoder import PackedEncoder  # noqa: E402

_OPERATIONS = 306e6  # per residue, see `PackedEncoder`
_CHAIN = 1000
_PRODUCT = 8192
_ROUNDS = 5


def main(argv: list[str] | None = None) -> int:
    """
    Measure and print.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 2 without a GPU.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--residues", type=int, default=200_000)
    choices = ("float32", "tf32", "bfloat16")
    parser.add_argument("--precision", nargs="+", choices=choices, default=choices)
    args = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print("encode_speed.py: error: torch sees no GPU", file=sys.stderr)
        return 2
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    for precision in args.precision:
        print(report(precision, args.residues))
    return 0


@torch.inference_mode()
def report(precision: str, residues: int) -> str:
    """
    Measure one precision.

    Parameters
    ----------
    precision : {"float32", "tf32", "bfloat16"}
        Of matrix products.
    residues : int
        How many to encode in a round, in chains of 1,000.

    Returns
    -------
    str
        One line.
    """
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    torch.manual_seed(0)
    encoder = GeometricEncoder(GeometricEncoderConfig(latent_dim=128)).eval().cuda()
    packed = PackedEncoder(encoder, products=dtype)
    count = max(1, residues // _CHAIN)
    coords = random_chain(_CHAIN, seed=0).expand(count, -1, -1, -1).cuda()
    everywhere = torch.ones(count, _CHAIN, dtype=torch.bool, device="cuda")
    numbers = torch.arange(_CHAIN, device="cuda").expand(count, -1)
    seen = encoder.neighborhoods(coords, everywhere, numbers, everywhere)
    seconds = fastest(lambda: encoder.encode_neighborhoods(seen, packed=packed))
    left, right = torch.randn(2, _PRODUCT, _PRODUCT, device="cuda", dtype=dtype).unbind()
    ceiling = 2 * _PRODUCT**3 / fastest(lambda: left @ right)
    rate = count * _CHAIN / seconds
    return (
        f"{precision}: {rate:,.0f} residues/s, {rate * _OPERATIONS / ceiling:.1%} of the "
        f"{ceiling / 1e12:.0f} TFLOP/s of a product of matrices"
    )


def fastest(run: Callable[[], object]) -> float:
    """
    Time something on the GPU.

    Parameters
    ----------
    run : callable
        Starts the work.

    Returns
    -------
    float
        Seconds of the fastest of some rounds.
    """
    run()
    torch.cuda.synchronize()
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    sys.exit(main())
