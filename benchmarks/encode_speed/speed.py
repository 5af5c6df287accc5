"""How long do the encoders take, in turn in one process?"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from encode_speed import identity
from encode_speed.chains import load_chains, resolved_residues
from encode_speed.emulation import EmulatedFastEncoder
from encode_speed.subjects import build_pair, exact_ids, fast_ids, fit_codes, reference_ids
from provq_protein.model.fast_encoding import FastEncoder, gains_from
from provq_protein.model.fast_ids import calibration_chains
from provq_protein.tokenizer import StructureTokenizer


def measure(
    source: Path, args: argparse.Namespace, parts: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Measure speed, compare ids with those of the reference, and those of both precisions.

    Parameters
    ----------
    source : Path
        Where chains come from.
    args : Namespace
        ``rounds``, ``residues``, ``fit``, ``identity`` and ``seed``.
    parts : set of str
        ``"speed"``, ``"fast"`` or both.

    Yields
    ------
    part : str
        One of those.
    values : dict
        JSON values.
    """
    torch.set_num_threads(1)
    chains = load_chains(source, args.residues, seed=args.seed)
    others = load_chains(source, args.fit, seed=args.seed + 1)
    reference, encoder = build_pair(seed=args.seed)
    gains = gains_from(torch.bfloat16, torch.device("cpu"))
    with torch.inference_mode():
        codes = fit_codes(encoder, others, seed=args.seed)
        reference.codebook.embeddings.copy_(codes)
        fast = (FastEncoder if gains else EmulatedFastEncoder)(encoder, codes)
        calibration = fast.calibrate(calibration_chains(torch.device("cpu")))
    if "speed" in parts:
        default = StructureTokenizer.from_pretrained()
        subjects: dict[str, Callable[[], Any]] = {
            "reference": lambda: [reference_ids(reference, chain) for chain in chains],
            "exact": lambda: [exact_ids(encoder, codes, chain) for chain in chains],
            "default": lambda: default.encode(chains),
        }
        if gains:
            subjects["fast"] = lambda: [fast_ids(fast, calibration, one)[0] for one in chains]
        residues = resolved_residues(chains)
        with torch.inference_mode():
            seconds, found = interleaved(subjects, rounds=args.rounds)
            ids = identity.compared(found["exact"], reference, encoder, codes, chains)
        taken = {"chains": len(chains), "residues": residues, "rounds": args.rounds}
        costs = summary(seconds, residues)
        yield "speed", {**taken, "codes_fitted_to": args.fit, **costs, "identity": ids}
    if "fast" in parts:
        more = load_chains(source, args.identity, seed=args.seed + 2)
        with torch.inference_mode():
            ids = identity.fast_against_exact(fast, calibration, encoder, codes, more)
        yield "fast", {"gains_here": gains, "emulated": not gains, **ids}


def interleaved(
    subjects: dict[str, Callable[[], Any]], *, rounds: int
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """
    Run all subjects in turn.

    Parameters
    ----------
    subjects : dict of callable
        By name.
    rounds : int
        How often; one more round comes first and is not counted.

    Returns
    -------
    seconds : dict of list of float
        Processor time of each round.
    found : dict
        What the subjects returned.
    """
    found = {name: subject() for name, subject in subjects.items()}
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            start = time.process_time()
            subject()
            seconds[name].append(time.process_time() - start)
    return seconds, found


def summary(seconds: dict[str, list[float]], residues: int) -> dict[str, Any]:
    """
    Turn times into costs and ratios.

    Parameters
    ----------
    seconds : dict of list of float
        From `interleaved`, with a subject ``"reference"``.
    residues : int
        What each subject encoded.

    Returns
    -------
    dict
        Spreads, by subject, of ``milliseconds_per_residue`` and of ``ratios`` to the reference.
    """
    return {
        "milliseconds_per_residue": {
            name: spread([1e3 * value / residues for value in values])
            for name, values in seconds.items()
        },
        "ratios": {
            name: spread([a / b for a, b in zip(seconds["reference"], values, strict=True)])
            for name, values in seconds.items()
            if name != "reference"
        },
    }


def spread(values: list[float]) -> dict[str, float]:
    """
    Summarize measurements.

    Parameters
    ----------
    values : list of float
        At least one.

    Returns
    -------
    dict of float
        Median, least and largest, to four digits.
    """
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}
