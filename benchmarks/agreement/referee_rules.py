"""Where this package and another reader differ, what is the reason?"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agreement.referees import (
    BACKBONE,
    LABEL_CHAINS,
    Found,
    Place,
    Site,
    is_amino_acid,
    is_nucleotide,
    is_water,
)
from provq_protein.structure.backbone import Backbone

UNEXPLAINED = "unexplained"
REASONS = {
    "water": "The other reader lists water in the chain; the contract has no residue for it.",
    "nucleic acid": "The other reader lists DNA and RNA; only polypeptides have tokens.",
    "ligand": "The other reader lists HETATM ligands, ions and sugars in the chain: components "
    "that gemmi's table does not call amino acids.",
    "free amino acid": "The other reader lists an amino acid that gemmi counts to no polymer.",
    "cap": "The other reader lists a cap (ACE, NH2), which has no CA: it is no residue.",
    "second component": "Microheterogeneity: the other reader lists each component at the number, "
    "or the last one; here one stands for the number.",
    "other conformer": "The residue has alternate locations: gemmi's first one, or the most "
    "occupied of each atom (Bio.PDB), is not the conformer that the contract takes; "
    "recomputed from the other reader's own atoms, it is.",
}
"""Reasons of differences, and what they mean."""

_SAME = 5e-4


@dataclass(frozen=True)
class Difference:
    """
    One difference between this package and another reader.

    Parameters
    ----------
    reason : str
        One of `REASONS`, or `UNEXPLAINED`.
    what : str
        Chain, number and component, and what differs.
    ours : bool
        Whether it is about a residue that this package has.
    """

    reason: str
    what: str
    ours: bool = True


def differences(
    chains: Sequence[Backbone],
    found: Mapping[Place, Found],
    *,
    reader: str,
    file_format: str,
) -> list[Difference]:
    """
    Return every difference in numbers, names and coordinates.

    Parameters
    ----------
    chains : sequence of Backbone
        What this package reads.
    found : mapping of Place to Found
        What the other reader finds.
    reader : str
        Its name.
    file_format : str
        The format of the file.

    Returns
    -------
    list of Difference
        Each with its reason.
    """
    result: list[Difference] = []
    by_label = (reader, file_format) in LABEL_CHAINS
    places: Counter[Place] = Counter()
    for chain in chains:
        chain_id = chain.label_chain_id if by_label else chain.chain_id
        for index, ident in enumerate(chain.residue_ids):
            place = (chain_id, ident)
            places[place] += 1
            name = f"{chain_id} {ident} {chain.residue_names[index]}"
            there = found.get(place)
            if there is None or places[place] > 1:
                result.append(Difference(UNEXPLAINED, f"{name}: not found"))
                continue
            result += _of_residue(chain, index, there, name)
    for place, there in found.items():
        if place not in places:
            what = f"{' '.join(place)} {there.preferred}"
            result.append(Difference(_why_left_out(there), what, ours=False))
    return result


def _of_residue(chain: Backbone, index: int, there: Found, name: str) -> Iterator[Difference]:
    component = chain.residue_names[index]
    pick = _conformer(there)
    if component != there.preferred:
        explained = len(set(there.components)) > 1 and _component(there, pick) == component
        yield Difference(
            "second component" if explained else UNEXPLAINED, f"{name}: {there.preferred}"
        )
    if there.label_number is not None and there.label_number != chain.label_numbers[index]:
        yield Difference(UNEXPLAINED, f"{name}: label number {there.label_number}")
    reasons = {
        _why_elsewhere(chain.coords[index, slot], there, atom, pick)
        for slot, atom in enumerate(BACKBONE)
    }
    for reason in sorted(reasons - {""}):
        yield Difference(reason, f"{name}: coordinates")


def _why_elsewhere(position: np.ndarray, there: Found, atom: str, pick: str | None) -> str:
    """Return why an atom is not where the other reader has it, ``""`` if it is."""
    present = bool(np.isfinite(position).all())
    if present and atom in there.chosen and np.abs(position - there.chosen[atom]).max() < _SAME:
        return ""
    if not present and atom not in there.sites:
        return ""
    sites = there.sites.get(atom, [])
    taken = [site for site in sites if site.altloc in (pick, "")]
    same = present and any(np.abs(position - site.xyz).max() < _SAME for site in taken)
    absent = not present and not taken
    return "other conformer" if len(sites) > 1 and (same or absent) else UNEXPLAINED


def _conformer(there: Found) -> str | None:
    """Return the alternate location that the contract takes, from the other reader's atoms."""
    split = [
        (atom, site)
        for atom in BACKBONE
        for site in there.sites.get(atom, [])
        if any(other.altloc for other in there.sites[atom])
    ]
    candidates: dict[str, list[Site]] = {}
    for _, site in split:
        candidates.setdefault(site.altloc, []).append(site)
    if not candidates:
        return None
    # The first of equals: `max` keeps it.
    return max(candidates, key=lambda one: _rank(candidates[one]))


def _rank(sites: Sequence[Site]) -> tuple[int, float]:
    return len(sites), round(sum(site.occupancy for site in sites) / len(sites), 4)


def _component(there: Found, pick: str | None) -> str:
    """Return the component of a conformer."""
    for atom in ("CA", "N", "C"):
        for site in there.sites.get(atom, []):
            if site.altloc == pick:
                return site.component
    return there.preferred


def _why_left_out(there: Found) -> str:
    name = there.preferred
    if is_water(name):
        return "water"
    if is_nucleotide(name):
        return "nucleic acid"
    if is_amino_acid(name):
        return "free amino acid" if there.hetero and there.polymer is False else UNEXPLAINED
    if "CA" not in there.sites and not there.hetero:
        return "cap"
    return "ligand" if there.hetero else UNEXPLAINED
