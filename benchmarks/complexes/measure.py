"""How do ids of chains that see each other differ from those of the same chains alone?"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from provq_protein.errors import ProvqError
from provq_protein.geometry.neighbors import nearest_residues
from provq_protein.geometry.similarity import lddt_ca, rmsd
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer

FORMAT, VERSION = "provq-complexes", 1
# Distance from a CA to the nearest one of another chain (Angstrom); the last bin is open.
DISTANCES = (8.0, 10.0, 12.0, 16.0)
# Residues since the last one before it that sees another chain; the last bin is open. A group of
# its own: no residue before it does.
LAGS = (5, 20, 50)
# Distance of two codes, over the median distance of a code to the nearest other one.
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_DIGITS = 4

Counts = NDArray[np.int64]


def measure(files: Sequence[Path], *, model: Path | None) -> dict[str, Any]:
    """
    Return results of the complexes among some structure files.

    Parameters
    ----------
    files : sequence of Path
        Structure files; those with fewer than two chains that can be encoded are passed over,
        and counted.
    model : Path or None
        Model folder; None for the shipped model.

    Returns
    -------
    dict
        JSON values. Counts of a chain are, by bin, residues, those whose id differs, and those
        whose latent is nearest to another code.
    """
    tokenizer = StructureTokenizer.from_pretrained(model)
    spacing = _spacing(tokenizer)
    chains: list[dict[str, Any]] = []
    hashes, problems, single = {}, [], 0
    distances: dict[str, list[float]] = {"interface": [], "elsewhere": []}
    for file in files:
        try:
            found = [chain for chain in read_backbones(file) if chain.resolved.any()]
        except ProvqError as error:
            problems.append(f"{file.name}: {str(error).removeprefix(f'{file}: ')}")
            continue
        if len(found) < 2:
            single += 1
            continue
        hashes[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        for row, moved in _rows(tokenizer, file.name, found):
            chains.append(row)
            for group, values in moved.items():
                distances[group] += (values / spacing).tolist()
        print(file.name, file=sys.stderr)
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "fingerprint": tokenizer.fingerprint,
        "codes": tokenizer.codebook_size,
        "neighbors": tokenizer.model.config.encoder.neighbors,
        "code_spacing": round(spacing, _DIGITS),
        "files": hashes,
        "single_chain_files": single,
        "problems": problems,
        "code_distances": {
            group: {
                "changed": len(values),
                "quantiles": [round(float(one), _DIGITS) for one in _quantiles(values)],
            }
            for group, values in distances.items()
        },
        "chains": chains,
    }


def _quantiles(values: list[float]) -> NDArray[np.float64]:
    return np.quantile(values, QUANTILES) if values else np.zeros(0)


def _learned(tokenizer: StructureTokenizer) -> NDArray[np.float32]:
    """Return the codes without those that stand for steps across breaks."""
    return tokenizer.codebook[: tokenizer.model.quantizer.codebook.size]


def _spacing(tokenizer: StructureTokenizer) -> float:
    codes = torch.from_numpy(_learned(tokenizer).copy()).double()
    apart = torch.cdist(codes, codes).fill_diagonal_(torch.inf)
    return float(apart.min(dim=1).values.median())


def _rows(
    tokenizer: StructureTokenizer, name: str, found: Sequence[Backbone]
) -> list[tuple[dict[str, Any], dict[str, NDArray[np.float64]]]]:
    """Compare the chains of one complex, and how far the codes that changed have gone."""
    alone, together = tokenizer.encode(found), tokenizer.encode_complex([found])[0]
    apart, sees = _interface(found, tokenizer.model.config.encoder.neighbors)
    latents = zip(tokenizer.embed(found), tokenizer.embed_complex([found])[0], strict=True)
    rebuilt = zip(tokenizer.decode(alone), tokenizer.decode(together), strict=True)
    rows = []
    for place, ((before, after), backbones) in enumerate(zip(latents, rebuilt, strict=True)):
        chain, known = found[place], found[place].resolved
        one, other = alone[place].ids[known], together[place].ids[known]
        nearest = [_nearest_codes(tokenizer, part[known]) for part in (before, after)]
        changed = np.stack([one != other, nearest[0] != nearest[1]])
        scores = [_scores(backbone, chain) for backbone in backbones]
        moved = np.linalg.norm(
            (tokenizer.codebook[one] - tokenizer.codebook[other]).astype(np.float64), axis=1
        )
        near = apart[place] <= DISTANCES[0]
        row = {
            "file": name,
            "chain": chain.chain_id,
            "residues": int(known.sum()),
            "by_distance": _binned(np.digitize(apart[place], DISTANCES, right=True), changed, 5),
            "seeing": _binned(np.where(sees[place], 0, 1), changed, 2),
            "by_lag": _binned(_lags(sees[place]), changed, 5),
            "rmsd": [score[0] for score in scores],
            "lddt_ca": [score[1] for score in scores],
        }
        groups = {"interface": changed[0] & near, "elsewhere": changed[0] & ~near}
        rows.append((row, {group: moved[which] for group, which in groups.items()}))
    return rows


def _interface(
    found: Sequence[Backbone], neighbors: int
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.bool_]]]:
    """Distance to the nearest other chain, and whether that is seen, of all resolved residues."""
    parts = [chain.coords[chain.resolved, 1].astype(np.float64) for chain in found]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    points = np.concatenate(parts)
    alpha = torch.from_numpy((points - points.mean(axis=0)).astype(np.float32))[None]
    everywhere = torch.ones(alpha.shape[:2], dtype=torch.bool)
    index = nearest_residues(alpha, everywhere, everywhere, neighbors)[0][0].numpy()
    sees = (owner[index] != owner[:, None]).any(axis=1)
    apart = [
        torch.cdist(torch.from_numpy(part), torch.from_numpy(points[owner != place]))
        .min(dim=1)
        .values.numpy()
        for place, part in enumerate(parts)
    ]
    return apart, [sees[owner == place] for place in range(len(parts))]


def _lags(sees: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Bin of each residue that sees its own chain alone; -1 for the others."""
    position = np.arange(len(sees))
    last = np.maximum.accumulate(np.where(sees, position, -1))
    bins = 1 + np.digitize(position - last, LAGS, right=True)
    return np.where(sees, -1, np.where(last < 0, 0, bins))


def _binned(bins: NDArray[np.int64], changed: NDArray[np.bool_], number: int) -> list[list[int]]:
    return [
        [int((bins == one).sum()), *(int(part[bins == one].sum()) for part in changed)]
        for one in range(number)
    ]


def _nearest_codes(tokenizer: StructureTokenizer, latents: NDArray[np.float32]) -> Counts:
    with torch.inference_mode():
        return tokenizer.model.quantizer.encode(torch.from_numpy(latents)).numpy()


def _scores(rebuilt: Backbone, chain: Backbone) -> tuple[float, float]:
    known = chain.resolved
    moved, fixed = rebuilt.coords[known], chain.coords[known]
    similar = lddt_ca(moved[:, 1], fixed[:, 1])
    return round(rmsd(moved, fixed), _DIGITS), round(similar, _DIGITS)
