"""What would be taken of a structure file, what not, and why?"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.bonds import peptide_bonds
from provq_protein.structure.components import LETTERS, component_kind, one_letter
from provq_protein.structure.conformers import BACKBONE_ATOMS
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.structure.reading import no_polypeptide, read_contents
from provq_protein.structure.residues import Selection, select
from provq_protein.structure.taking import (
    INCOMPLETE,
    TakenChain,
    component_names,
    finish_given,
    take,
    unusable,
)


@dataclass(frozen=True, kw_only=True)
class ChainAccount:
    """
    What would be taken of one protein chain.

    Parameters
    ----------
    chain_id, label_chain_id : str
        As the encoded chain carries them.
    model : int
        1-based model.
    wanted : bool
        Whether the policy names the chain.
    residues : int
        Residues of the encoded chain.
    tokens : int
        How many of them have a token.
    masked, dropped : dict of str to int
        How many residues have no token, and how many are left out, by reason.
    modified : dict of str to int
        Residues that are none of the twenty, as ``"MSE>M"`` with the letter that stands for
        them. D-amino acids are among them.
    hetatm : int
        Residues of HETATM records.
    altlocs : int
        Residues with several conformers of N, CA and C, of which one is taken.
    microheterogeneity : list of str
        Residue ids with several kinds of residue, of which one is taken.
    gaps : list of str
        Ids of residues that follow each other and are not joined, such as ``"52-60"``.
    insertion_codes, negative, duplicate, out_of_order : int
        Residues whose author id has an insertion code, is below zero, occurred before in the
        chain, or is lower than the one before.
    ca_only : bool
        Whether the chain has CA atoms, and no N or C.
    confidence : {"b_factor", "plddt"}
        What the B-factors are.
    mean_b_factor : float or None
        Their mean over the residues with a CA atom.
    not_taken : dict of str to int
        Residues under the same author chain id that are not part of the chain, by kind.
    problem : str or None
        Why the chain would not be encoded.
    """

    chain_id: str
    label_chain_id: str
    model: int
    wanted: bool = True
    residues: int
    tokens: int
    masked: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    modified: dict[str, int] = field(default_factory=dict)
    hetatm: int = 0
    altlocs: int = 0
    microheterogeneity: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    insertion_codes: int = 0
    negative: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    ca_only: bool = False
    confidence: str = "b_factor"
    mean_b_factor: float | None = None
    not_taken: dict[str, int] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class FileAccount:
    """
    What would be taken of one file.

    Parameters
    ----------
    file : str
        The file as the user named it.
    format : str or None
        ``"mmCIF"``, ``"BinaryCIF"`` or ``"PDB"``; None if it is none of them.
    models : int
        Models of the file.
    chains : list of ChainAccount
        Its protein chains; see `account_of`.
    other_chains : dict of str to list of str
        Author ids of chains without protein, by what they are most.
    not_taken : dict of str to int
        Residues of the first model looked at that are part of no protein chain, by kind:
        ``"water"``, ``"nucleotide"``, ``"saccharide"``, ``"amino acid"`` or ``"other"``.
    components : dict of str to int
        The same by component name, without water and nucleotides.
    problem : str or None
        Why nothing can be taken of the file, or not what was asked for.
    """

    file: str
    format: str | None = None
    models: int = 0
    chains: list[ChainAccount] = field(default_factory=list)
    other_chains: dict[str, list[str]] = field(default_factory=dict)
    not_taken: dict[str, int] = field(default_factory=dict)
    components: dict[str, int] = field(default_factory=dict)
    problem: str | None = None


def account_of(
    content: bytes,
    *,
    source: str,
    policy: ResiduePolicy = CONTRACT,
    max_bytes: int | None = None,
) -> FileAccount:
    """
    Return what would be taken of a structure file.

    Parameters
    ----------
    content : bytes
        The whole file, as for
        :func:`provq_protein.structure.reading.backbones_of_bytes`.
    source : str
        Name of the file.
    policy : ResiduePolicy
        What to take.
    max_bytes : int, optional
        Largest size that the content may have or expand to. By default 2 GiB.

    Returns
    -------
    FileAccount
        With a row for every protein chain, whether the policy names it or not. A file that
        cannot be read has its `problem`.

    Notes
    -----
    The chains are those that encoding would get: both come from
    :func:`provq_protein.structure.taking.take`.
    """
    try:
        kind, contents = read_contents(content, source=source, policy=policy, max_bytes=max_bytes)
    except StructureError as error:
        return FileAccount(file=source, problem=_reason(error, source))
    chains: list[ChainAccount] = []
    problem: str | None = None
    first: Selection | None = None
    try:
        for taken in take(contents, policy, source=source):
            first = taken.selection if first is None else first
            chains.append(chain_account(taken, policy))
        if not chains:
            problem = _reason(no_polypeptide(contents, policy, source), source)
    except Exception as error:  # noqa: BLE001 - a row says what is wrong with the file
        problem = _reason(error, source)
    absent = policy.absent(chain.chain_id for chain in chains)
    if absent and chains:
        problem = problem or f"no such protein chain: {', '.join(absent)}"
    table = contents.tables[0][1]
    rest = _Rest(select(table, altloc=policy.altloc) if first is None else first)
    return FileAccount(
        file=source,
        format=kind,
        models=table.num_models,
        chains=chains,
        other_chains=rest.other_chains(),
        not_taken=rest.kinds(),
        components=rest.components(),
        problem=problem,
    )


def account_of_chain(
    chain: Backbone, *, source: str, policy: ResiduePolicy = CONTRACT
) -> FileAccount:
    """
    Return what would be taken of a chain that comes from no structure file.

    Parameters
    ----------
    chain : Backbone
        Of a trajectory or a FoldComp entry.
    source : str
        Its name.
    policy : ResiduePolicy
        What to take.

    Returns
    -------
    FileAccount
        With one chain, or a problem.
    """
    try:
        row = chain_account(finish_given(chain, policy), policy)
    except StructureError as error:
        return FileAccount(file=source, models=1, problem=_reason(error, source))
    return FileAccount(file=source, models=1, chains=[row])


def chain_account(taken: TakenChain, policy: ResiduePolicy = CONTRACT) -> ChainAccount:
    """
    Return what would be taken of one chain.

    Parameters
    ----------
    taken : TakenChain
        The chain. One that comes from no structure file has no atoms to tell more about.
    policy : ResiduePolicy
        Under which it was taken.

    Returns
    -------
    ChainAccount
        A row for it.
    """
    chain = taken.chain
    numbers, residue_ids = chain.author_numbers.astype(np.int64), chain.residue_ids
    alpha = np.isfinite(chain.coords[:, 1]).all(axis=1)
    others = np.isfinite(chain.coords[:, [0, 2]]).all(axis=2)
    values = chain.b_factors[np.isfinite(chain.b_factors)]
    return ChainAccount(
        chain_id=chain.chain_id,
        label_chain_id=chain.label_chain_id,
        model=chain.model,
        wanted=policy.selects(chain.chain_id),
        residues=len(chain),
        tokens=int(chain.resolved.sum()),
        masked=taken.masked or _incomplete(chain),
        dropped=taken.dropped,
        modified=_modified(chain),
        gaps=_gaps(chain),
        insertion_codes=sum(code != "" for code in chain.insertion_codes),
        negative=int((numbers < 0).sum()),
        duplicate=len(residue_ids) - len(set(residue_ids)),
        out_of_order=int((np.diff(numbers) < 0).sum()),
        ca_only=bool(alpha.any() and not others.any()),
        confidence=chain.confidence,
        mean_b_factor=round(float(values.mean(dtype=np.float64)), 2) if values.size else None,
        problem=unusable(chain, policy),
        **_of_atoms(taken),
    )


def _incomplete(chain: Backbone) -> dict[str, int]:
    count = int((~chain.resolved).sum())
    return {INCOMPLETE: count} if count else {}


def _modified(chain: Backbone) -> dict[str, int]:
    counts = Counter(name for name in chain.residue_names if name not in LETTERS or name == "UNK")
    return {f"{name}>{one_letter(name)}": number for name, number in sorted(counts.items())}


def _gaps(chain: Backbone) -> list[str]:
    """Return where a chain is broken: by distance, or by number where an atom is absent."""
    bonded, known = peptide_bonds(chain.coords)
    jump = np.abs(np.diff(chain.author_numbers.astype(np.int64))) > 1
    names = chain.residue_ids
    broken = np.flatnonzero(np.where(known, ~bonded, jump)).tolist()
    return [f"{names[place]}-{names[place + 1]}" for place in broken]


def _of_atoms(taken: TakenChain) -> dict[str, Any]:
    """Return the entries of a row for which the atoms of the file are needed."""
    selection, residues = taken.selection, taken.residues
    if selection is None or residues is None:
        return {}
    atoms, first = selection.atoms, selection.first_atoms[residues]
    split = np.isin(atoms.name, BACKBONE_ATOMS) & (atoms.altloc != "")
    split &= np.isin(selection.residue_of_atom, residues)
    conformers = set(
        zip(selection.residue_of_atom[split].tolist(), atoms.altloc[split].tolist(), strict=True)
    )
    per_residue = Counter(residue for residue, _ in conformers)
    kinds = component_names(selection, residues)
    runs = ~selection.taken & (selection.table.chain[selection.starts] == atoms.chain[first[0]])
    return {
        "hetatm": int(atoms.hetero[first].sum()),
        "altlocs": sum(number > 1 for number in per_residue.values()),
        "microheterogeneity": [
            f"{atoms.number[row]}{atoms.insertion[row]} ({'/'.join(sorted(names))})"
            for row, names in zip(first.tolist(), kinds, strict=True)
            if len(names) > 1
        ],
        "not_taken": _Rest(selection).kinds(runs),
    }


class _Rest:
    """What of a model is no residue of a protein chain."""

    def __init__(self, selection: Selection) -> None:
        table, starts = selection.table, selection.starts
        self._chains = table.chain[starts].tolist()
        self._components = table.component[starts].tolist()
        self._taken = selection.taken
        self._proteins = set(table.chain[starts[selection.taken]].tolist())

    def kinds(self, runs: npt.NDArray[np.bool_] | None = None) -> dict[str, int]:
        """Return how many residues of each kind there are."""
        places = np.flatnonzero(~self._taken if runs is None else runs).tolist()
        return dict(sorted(Counter(component_kind(self._components[i]) for i in places).items()))

    def components(self) -> dict[str, int]:
        """Return how many residues of each name there are, but for water and nucleotides."""
        names = Counter(self._components[place] for place in np.flatnonzero(~self._taken).tolist())
        return {
            name: number
            for name, number in sorted(names.items())
            if component_kind(name) not in ("water", "nucleotide")
        }

    def other_chains(self) -> dict[str, list[str]]:
        """Return the chains without a residue of protein, by what they are most."""
        held: dict[str, Counter[str]] = {}
        for chain, component in zip(self._chains, self._components, strict=True):
            if chain not in self._proteins:
                held.setdefault(chain, Counter())[component_kind(component)] += 1
        result: dict[str, list[str]] = {}
        for chain, kinds in held.items():
            # A chain that has more than water is called after the rest.
            best = max(kinds, key=lambda kind: (kind != "water", kinds[kind]))
            result.setdefault(best, []).append(chain)
        return result


def _reason(error: Exception, source: str) -> str:
    text = str(error).removeprefix(f"{source}: ")
    if not isinstance(error, StructureError):
        text = f"unexpected {type(error).__name__}: {text}"
    return " ".join(text.split())
