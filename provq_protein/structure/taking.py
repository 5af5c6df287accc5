"""Which residues of a file become which chains under a policy, and what became of the others?"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.assemblies import CopyNames, moved
from provq_protein.structure.atom_table import NO_NUMBER
from provq_protein.structure.backbone import Backbone, complete_residues
from provq_protein.structure.contents import Contents
from provq_protein.structure.full_sequence import Monomer, Sequences, with_full_sequence
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.structure.residues import Selection, backbone_at, chains_within, select

MAX_COPIES, MAX_COPIED_RESIDUES = 20_000, 10_000_000
"""How many chains, and residues of them, an assembly may have."""

INCOMPLETE, ABSENT, LOW_PLDDT = "incomplete backbone", "no atoms in the file", "low pLDDT"
"""Why a residue has no token."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TakenChain:
    """
    A chain, and what became of its residues.

    Parameters
    ----------
    chain : Backbone
        What is encoded.
    selection : Selection, optional
        The residues of the model; None for a chain that comes from no file.
    residues : ndarray, shape=(residue,), dtype=int64, optional
        Those of the chain in the selection.
    masked : dict of str to int
        How many residues of `chain` have no token, by reason.
    dropped : dict of str to int
        How many residues were left out, by reason.
    """

    chain: Backbone
    selection: Selection | None = None
    residues: npt.NDArray[np.int64] | None = None
    masked: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


def take(contents: Contents, policy: ResiduePolicy, *, source: str) -> Iterator[TakenChain]:
    """
    Yield every polypeptide chain of a file, whether `policy` names it or not.

    Parameters
    ----------
    contents : Contents
        What was read under the policy.
    policy : ResiduePolicy
        What to take of each chain.
    source : str
        File name that chains and messages carry.

    Yields
    ------
    TakenChain
        By model, then by copy of the assembly, then in file order.

    Raises
    ------
    StructureError
        If the file lacks what the policy asks for.
    """
    for model, table in contents.tables:
        selection = select(table, altloc=policy.altloc)
        reader = _ModelReader(selection, policy, contents.sequences, source, model)
        if contents.copies is None:
            yield from reader.chains(None)
            continue
        column = table.label_chain if policy.numbering == "label" else table.chain
        names = CopyNames(np.unique(column).tolist())
        label_chains = selection.atoms.label_chain[selection.first_atoms]
        chains = residues = 0
        for copies in contents.copies:
            made = list(reader.chains(np.isin(label_chains, list(copies.chains))))
            chains += len(made) * len(copies.transforms)
            residues += sum(len(one.chain) for one in made) * len(copies.transforms)
            if chains > MAX_COPIES or residues > MAX_COPIED_RESIDUES:
                raise _too_large(source, chains, residues)
            for transform in copies.transforms:
                yield from (_copy(one, transform, names) for one in made)


def _too_large(source: str, chains: int, residues: int) -> StructureError:
    msg = (
        f"{source}: the assembly has at least {chains:,} chains with {residues:,} residues, more "
        f"than the limit of {MAX_COPIES:,} chains or {MAX_COPIED_RESIDUES:,} residues; take the "
        "coordinates of the file as they are"
    )
    return StructureError(msg)


def _copy(taken: TakenChain, transform: npt.NDArray[np.float64], names: CopyNames) -> TakenChain:
    chain = taken.chain
    suffix = names.suffix(chain.chain_id)
    return replace(
        taken,
        chain=replace(
            chain,
            coords=moved(chain.coords, transform),
            chain_id=f"{chain.chain_id}{suffix}",
            label_chain_id=f"{chain.label_chain_id}{suffix}",
        ),
    )


class _ModelReader:
    """Makes the chains of one model."""

    def __init__(
        self,
        selection: Selection,
        policy: ResiduePolicy,
        sequences: Sequences | None,
        source: str,
        model: int,
    ) -> None:
        self._selection, self._policy, self._sequences = selection, policy, sequences
        self._source, self._model = source, model
        self._by_label = policy.numbering == "label"

    def chains(self, within: npt.NDArray[np.bool_] | None) -> Iterator[TakenChain]:
        """Yield the chains among some of the residues, or all."""
        selection = self._selection
        for residues in chains_within(selection, by_label=self._by_label, within=within):
            if self._by_label:
                self._check_numbered(residues)
            chain = backbone_at(
                selection,
                residues,
                source=self._source,
                model=self._model,
                by_label=self._by_label,
            )
            taken = TakenChain(chain=chain, selection=selection, residues=residues)
            # A chain that is not wanted need not have what the policy asks for.
            yield self._finished(taken) if self._policy.selects(chain.chain_id) else taken

    def _finished(self, taken: TakenChain) -> TakenChain:
        if self._sequences is None:
            return finish(taken, self._policy)
        full = self._full(taken)
        absent = len(full) - len(taken.chain)
        masked = {ABSENT: absent} if absent else {}
        return finish(replace(taken, chain=full, masked=masked), self._policy)

    def _check_numbered(self, residues: npt.NDArray[np.int64]) -> None:
        atoms, first = self._selection.atoms, self._selection.first_atoms[residues]
        if (atoms.label_number[first] == NO_NUMBER).any():
            msg = (
                f"{self._source}: chain {atoms.label_chain[first[0]]}: residues without "
                "label_seq_id (PDB files have none at all); take author numbering ('auth'), or "
                "give the entry as mmCIF"
            )
            raise StructureError(msg)

    def _full(self, taken: TakenChain) -> Backbone:
        atoms, residues = self._selection.atoms, taken.residues
        first = self._selection.first_atoms[residues]
        chain = taken.chain
        if len(np.unique(atoms.label_chain[first])) > 1:
            msg = (
                f"{self._source}: chain {chain.chain_id}: several label chains, which have no "
                "common sequence; take label numbering ('label')"
            )
            raise StructureError(msg)
        declared = (self._sequences or {}).get(chain.label_chain_id, ())
        if self._by_label:
            declared = [Monomer(one.position, one.component, one.position) for one in declared]
        return with_full_sequence(
            chain,
            declared,
            numbered=not (atoms.label_number[first] == NO_NUMBER).any(),
            names=component_names(self._selection, taken.residues),
        )


def component_names(
    selection: Selection, residues: npt.NDArray[np.int64] | None
) -> list[frozenset[str]]:
    """
    Return the component names of residues; more than one is microheterogeneity.

    Parameters
    ----------
    selection : Selection
        Residues of a model.
    residues : ndarray, shape=(residue,), dtype=int64, optional
        Which of them. By default all.

    Returns
    -------
    list of frozenset of str
        The names that the atoms of each residue carry.
    """
    held: dict[int, set[str]] = {}
    pairs = zip(selection.residue_of_atom.tolist(), selection.atoms.component.tolist(), strict=True)
    for residue, name in dict.fromkeys(pairs):
        held.setdefault(residue, set()).add(name)
    places = range(len(selection)) if residues is None else residues.tolist()
    return [frozenset(held[place]) for place in places]


def finish(taken: TakenChain, policy: ResiduePolicy) -> TakenChain:
    """
    Return a chain with what a policy says of its residues.

    Parameters
    ----------
    taken : TakenChain
        With all its residues.
    policy : ResiduePolicy
        Of which `b_factors`, `min_plddt`, `plddt_mode` and `unresolved` are looked at.

    Returns
    -------
    TakenChain
        A chain of which no residue would be left is kept without tokens, whatever is to be
        dropped: nothing of it can be encoded, and it can still be named.

    Raises
    ------
    StructureError
        If a cutoff of pLDDT is asked for and the chain has none.
    """
    chain = taken.chain
    if policy.b_factors == "plddt":
        chain = replace(chain, confidence="plddt")
    low, incomplete = _below(chain, policy), ~chain.resolved
    absent = taken.masked.get(ABSENT, 0)
    found = {INCOMPLETE: int(incomplete.sum()) - absent, LOW_PLDDT: int(low.sum())}
    if low.any():
        coords = np.where(low[:, None, None], np.float32(np.nan), chain.coords)
        chain = replace(chain, coords=coords, resolved=complete_residues(coords))
    leaves_some = bool(chain.resolved.any())
    drops = {
        INCOMPLETE: policy.unresolved == "drop" and leaves_some,
        LOW_PLDDT: policy.plddt_mode == "drop" and leaves_some,
    }
    out = (incomplete & drops[INCOMPLETE]) | (low & drops[LOW_PLDDT])
    masked = {ABSENT: absent} | {why: 0 if drops[why] else found[why] for why in found}
    dropped = {why: found[why] if drops[why] else 0 for why in found}
    return replace(
        taken,
        chain=_only(chain, ~out) if out.any() else chain,
        masked={why: number for why, number in masked.items() if number},
        dropped={why: number for why, number in dropped.items() if number},
    )


def _below(chain: Backbone, policy: ResiduePolicy) -> npt.NDArray[np.bool_]:
    """Return the residues that would have a token but for their pLDDT."""
    if policy.min_plddt is None:
        return np.zeros(len(chain), dtype=bool)
    where = f"{chain.source}: " if chain.source else ""
    if chain.confidence != "plddt":
        msg = (
            f"{where}chain {chain.chain_id}: not marked as a prediction, so a pLDDT of at least "
            f"{policy.min_plddt:g} cannot be asked of its B-factors; leave the cutoff out for "
            "this input, or declare that its B-factors are pLDDT (b_factors 'plddt')"
        )
        raise StructureError(msg)
    values = chain.b_factors[np.isfinite(chain.b_factors)]
    low, high = values.min(initial=100.0), values.max(initial=0.0)
    if low < 0 or high > 100 or (values.size and high <= 1 < policy.min_plddt):
        msg = (
            f"{where}chain {chain.chain_id}: its B-factors go from {low:g} to {high:g}, those of "
            "pLDDT from 0 to 100; leave the cutoff out for this input"
        )
        raise StructureError(msg)
    return chain.resolved & ~(chain.b_factors >= policy.min_plddt)


def _only(chain: Backbone, kept: npt.NDArray[np.bool_]) -> Backbone:
    places = np.flatnonzero(kept).tolist()
    return replace(
        chain,
        coords=chain.coords[kept],
        resolved=chain.resolved[kept],
        sequence="".join(chain.sequence[place] for place in places),
        residue_names=tuple(chain.residue_names[place] for place in places),
        author_numbers=chain.author_numbers[kept],
        insertion_codes=tuple(chain.insertion_codes[place] for place in places),
        label_numbers=chain.label_numbers[kept],
        b_factors=chain.b_factors[kept],
    )


def finish_chain(chain: Backbone, policy: ResiduePolicy) -> Backbone:
    """
    Return a chain that comes from no structure file under a policy.

    Parameters
    ----------
    chain : Backbone
        Of arrays, a trajectory or a FoldComp entry.
    policy : ResiduePolicy
        What to take of it.

    Returns
    -------
    Backbone
        The same object if nothing changes. It has no alternate locations to choose from.

    Raises
    ------
    StructureError
        If the policy asks for what only a structure file has: an assembly, the full sequence,
        label numbering, another model.
    """
    return chain if policy.is_default else finish_given(chain, policy).chain


def finish_given(chain: Backbone, policy: ResiduePolicy) -> TakenChain:
    """
    Return a chain that comes from no structure file, and what became of its residues.

    Parameters
    ----------
    chain : Backbone
        As for `finish_chain`.
    policy : ResiduePolicy
        What to take of it.

    Returns
    -------
    TakenChain
        Without a selection.

    Raises
    ------
    StructureError
        As from `finish_chain`.
    """
    asked = {
        f"assembly {policy.assembly}": policy.assembly is not None,
        "the full sequence": policy.sequence == "full",
        "label numbering": policy.numbering == "label",
        f"model {policy.model}": policy.model not in ("all", 1, chain.model),
    }
    lacking = [what for what, is_asked in asked.items() if is_asked]
    if lacking:
        msg = (
            f"{chain.source or 'input'}: chain {chain.chain_id}: {lacking[0]} can only be taken "
            "from a structure file, and this is a chain already"
        )
        raise StructureError(msg)
    return finish(TakenChain(chain=chain), policy)


def unusable(chain: Backbone, policy: ResiduePolicy = CONTRACT) -> str | None:
    """
    Return why a chain cannot be encoded.

    Parameters
    ----------
    chain : Backbone
        A chain, as it was read under the policy.
    policy : ResiduePolicy
        What was taken of it.

    Returns
    -------
    str or None
        One line; None if it can be encoded.
    """
    if chain.resolved.any():
        return None
    nitrogen, alpha, carbon = np.all(np.isfinite(chain.coords), axis=-1).T
    if alpha.any() and not (nitrogen.any() or carbon.any()):
        return f"only CA atoms ({len(chain)} residues); N, CA and C are needed"
    if policy.min_plddt is not None and np.isfinite(chain.b_factors).any():
        return (
            f"no residue ({len(chain)} in the chain) has all of N, CA and C, and a pLDDT of at "
            f"least {policy.min_plddt:g}"
        )
    return f"no residue ({len(chain)} in the chain) has all of N, CA and C"
