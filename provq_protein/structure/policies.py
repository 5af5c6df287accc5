"""Which chains and residues of a structure file does the user want, and what of them?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, get_args

from provq_protein.errors import ConfigError

Numbering = Literal["auth", "label"]
Unresolved = Literal["keep", "drop"]
PlddtMode = Literal["mask", "drop"]
SequenceScope = Literal["resolved", "full"]
BFactors = Literal["declared", "plddt"]

OCCUPANCY, FIRST = "occupancy", "first"
_CHOICES = {
    "numbering": get_args(Numbering),
    "unresolved": get_args(Unresolved),
    "plddt_mode": get_args(PlddtMode),
    "sequence": get_args(SequenceScope),
    "b_factors": get_args(BFactors),
}


@dataclass(frozen=True, kw_only=True)
class ResiduePolicy:
    """
    What is taken of a structure file; by default what the residue contract says.

    Parameters
    ----------
    chains : sequence of str, optional
        Ids of the chains to take, in the scheme of `numbering`. The id of a chain stands for
        its copies in an assembly too; ``"A-2"`` is the second copy alone. By default all.
    model : int or "all"
        1-based model, counted in file order, or every model: then a chain is given once for
        each, with its `model`.
    assembly : str, optional
        Id of a biological assembly of the file, as ``pdbx_struct_assembly`` or REMARK 350 name
        it. The first copy of a chain keeps its id, the next are called ``"A-2"``, ``"A-3"``,
        ..., as in the assembly files of the PDB. By default the coordinates of the file.
    numbering : {"auth", "label"}
        ``"label"``: chains are the label chains of an mmCIF file, and their ids and residue
        numbers (``label_asym_id``, ``label_seq_id``) take the place of the author's everywhere:
        as ids that `chains` selects, as the numbers from which the model learns which residues
        follow each other, and in results. There are no insertion codes then.
    altloc : str
        ``"occupancy"``: of the alternate locations with the most backbone atoms, the one of
        highest mean occupancy. ``"first"``: the first in the file. One character: that
        alternate location, and for residues that lack it the one of ``"occupancy"``.
    unresolved : {"keep", "drop"}
        What becomes of residues without all of N, CA and C: kept without a token, or left out.
    min_plddt : float, optional
        Residues of a prediction whose pLDDT is below this (0 to 100), or not given, get no
        token. A file that is no prediction is refused. By default all residues get one.
    plddt_mode : {"mask", "drop"}
        Whether those residues are kept without a token, or left out.
    sequence : {"resolved", "full"}
        ``"full"``: every position of the chain's declared sequence (SEQRES), of which those
        without atoms have no token. ``"resolved"``: residues with at least one atom.
    b_factors : {"declared", "plddt"}
        ``"plddt"``: the B-factor column holds pLDDT (0 to 100), whatever the file says of itself.

    Raises
    ------
    ConfigError
        If a value is none of these, or two contradict each other.

    Examples
    --------
    >>> ResiduePolicy(chains=["A"], min_plddt=70).chains
    ('A',)
    >>> ResiduePolicy().is_default
    True
    """

    chains: Sequence[str] | None = None
    model: int | Literal["all"] = 1
    assembly: str | None = None
    numbering: Numbering = "auth"
    altloc: str = OCCUPANCY
    unresolved: Unresolved = "keep"
    min_plddt: float | None = None
    plddt_mode: PlddtMode = "mask"
    sequence: SequenceScope = "resolved"
    b_factors: BFactors = "declared"

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                self._fail(name, f"one of {', '.join(allowed)}")
        self._check_chains()
        self._check_model()
        if self.assembly is not None:
            self._check_word("assembly", self.assembly)
        if self.altloc not in (OCCUPANCY, FIRST):
            self._check_word("altloc", self.altloc)
            if len(self.altloc) != 1:
                self._fail("altloc", f"{OCCUPANCY}, {FIRST} or one character, such as A")
        self._check_plddt()
        self._check_combination()

    def _fail(self, name: str, expected: str) -> NoReturn:
        msg = f"residue policy: {name} must be {expected}; got {getattr(self, name)!r}"
        raise ConfigError(msg)

    def _check_word(self, name: str, value: object) -> None:
        if not isinstance(value, str) or value.split() != [value]:
            self._fail(name, "one word")

    def _check_chains(self) -> None:
        if self.chains is None:
            return
        if isinstance(self.chains, str) or not isinstance(self.chains, Iterable):
            self._fail("chains", "a list of chain ids, such as ['A']")
        names = tuple(dict.fromkeys(self.chains))
        if not all(isinstance(name, str) for name in names):
            self._fail("chains", "a list of chain ids, such as ['A']")
        object.__setattr__(self, "chains", names)

    def _check_model(self) -> None:
        if self.model == "all":
            return
        if isinstance(self.model, bool) or not isinstance(self.model, int) or self.model < 1:
            self._fail("model", "a whole number from 1, or 'all'")

    def _check_plddt(self) -> None:
        cutoff = self.min_plddt
        if cutoff is None:
            if self.plddt_mode != "mask":
                self._fail("min_plddt", "given if plddt_mode is")
            return
        is_number = isinstance(cutoff, int | float) and not isinstance(cutoff, bool)
        if not is_number or not math.isfinite(cutoff) or not 0 <= cutoff <= 100:
            self._fail("min_plddt", "a number from 0 to 100")
        object.__setattr__(self, "min_plddt", float(cutoff))

    def _check_combination(self) -> None:
        if self.sequence != "full":
            return
        for name in ("unresolved", "plddt_mode"):
            if getattr(self, name) == "drop":
                msg = (
                    f"residue policy: sequence='full' keeps every position of the sequence, "
                    f"{name}='drop' leaves some out; choose one of them"
                )
                raise ConfigError(msg)

    @property
    def is_default(self) -> bool:
        """Whether this is what the residue contract says, for all chains."""
        return self == ResiduePolicy()

    @property
    def needs_whole_file(self) -> bool:
        """Whether more of a file is needed than the atoms of one model."""
        return self.model == "all" or self.assembly is not None or self.sequence == "full"

    def selects(self, chain_id: str) -> bool:
        """
        Return whether a chain is wanted.

        Parameters
        ----------
        chain_id : str
            In the scheme of `numbering`; that of a copy has the copy's number.

        Returns
        -------
        bool
            True if `chains` names it, or the chain that it is a copy of, or names none.

        Examples
        --------
        >>> ResiduePolicy(chains=["A"], assembly="1").selects("A-2")
        True
        """
        if self.chains is None:
            return True
        return chain_id in self.chains or self._original(chain_id) in self.chains

    def absent(self, chain_ids: Iterable[str]) -> list[str]:
        """
        Return the wanted chains that are not there.

        Parameters
        ----------
        chain_ids : iterable of str
            The chains that are there.

        Returns
        -------
        list of str
            In the order of `chains`.
        """
        present = set(chain_ids)
        present |= {self._original(name) for name in present}
        return [name for name in self.chains or () if name not in present]

    def _original(self, chain_id: str) -> str:
        original, dash, copy = chain_id.rpartition("-")
        is_copy = self.assembly is not None and dash and original and copy.isdecimal()
        return original if is_copy else chain_id

    def limited_to(self, chains: Sequence[str] | None, *, model: int = 1) -> "ResiduePolicy":
        """
        Return the policy with chains and a model that were named beside it.

        Parameters
        ----------
        chains : sequence of str or None
            Chain ids; None for those of the policy.
        model : int
            1-based model; 1 for that of the policy.

        Returns
        -------
        ResiduePolicy
            Of these chains and this model.

        Raises
        ------
        ConfigError
            If the policy names others.
        """
        if chains is None and model == 1:
            return self
        names = None if chains is None else tuple([chains] if isinstance(chains, str) else chains)
        for name, value, default in (("chains", names, None), ("model", model, 1)):
            held = getattr(self, name)
            if value != default and held not in (default, value):
                msg = f"{name}={value!r} beside a policy with {name}={held!r}; give it once"
                raise ConfigError(msg)
        return replace(
            self,
            chains=self.chains if names is None else names,
            model=self.model if model == 1 else model,
        )


CONTRACT = ResiduePolicy()
"""What is taken if nobody says otherwise."""
