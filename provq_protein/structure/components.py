"""What is a chemical component: amino acid, nucleotide, water or something else, and its letter?"""

from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["amino acid", "nucleotide", "saccharide", "water", "other"]

LETTERS = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E",
    "GLY": "G", "HIS": "H", "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F",
    "PRO": "P", "SER": "S", "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V", "UNK": "X",
}  # fmt: skip
# Names that simulation programs give to protonation and bonding states. The Chemical
# Component Dictionary either lacks them or has an unrelated molecule under the name.
_SIMULATION_LETTERS = {
    "HSD": "H", "HSP": "H", "HID": "H", "HIE": "H", "CYX": "C", "CYM": "C", "ASH": "D",
    "GLH": "E", "LYN": "K",
}  # fmt: skip
# The most frequent modified residue.
_MODIFIED_LETTERS = {"MSE": "M"}
_NUCLEOTIDES = frozenset(("A", "C", "G", "U", "I", "DA", "DC", "DG", "DT", "DU", "DI"))
_WATERS = frozenset(("HOH", "DOD", "WAT", "H2O", "TIP3"))


@cache
def one_letter(component: str) -> str:
    """
    Return the one-letter code of a residue, or that of its parent amino acid.

    Parameters
    ----------
    component : str
        Residue name, e.g. ``"MSE"``.

    Returns
    -------
    str
        One upper-case letter; ``"X"`` if there is none.

    Notes
    -----
    Letters come from the Chemical Component Dictionary that biotite ships.

    Examples
    --------
    >>> one_letter("MSE"), one_letter("SEP"), one_letter("HOH")
    ('M', 'S', 'X')
    """
    if component in LETTERS:
        return LETTERS[component]
    if component in _MODIFIED_LETTERS:
        return _MODIFIED_LETTERS[component]
    if component in _SIMULATION_LETTERS:
        return _SIMULATION_LETTERS[component]
    if not is_amino_acid(component):
        return "X"
    # Not at the top, and not for the usual residues: it takes as long to import as a small file
    # to encode.
    from biotite.structure.info import one_letter_code

    letter = one_letter_code(component) or ""
    return letter if len(letter) == 1 and letter.isascii() and letter.isupper() else "X"


@cache
def is_amino_acid(component: str) -> bool:
    """
    Return whether a component is an amino acid that can be part of a chain.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    bool
        True for every component whose type in the Chemical Component Dictionary is a peptide
        linking one, such as MSE.
    """
    if component in LETTERS:
        return True
    link = _link_type(component)
    return "peptide" in link and link != "peptide-like"


@cache
def _link_type(component: str) -> str:
    # The usual ones are known without the dictionary, which takes as long to load as a small
    # file to encode.
    if component in _NUCLEOTIDES or component in _WATERS:
        return "rna linking" if component in _NUCLEOTIDES else "non-polymer"
    if component in LETTERS or component in _MODIFIED_LETTERS:
        return "l-peptide linking"
    from biotite.structure.info import link_type

    return (link_type(component) or "").lower()


@cache
def is_nucleotide(component: str) -> bool:
    """
    Return whether a component is a nucleotide that can be part of a nucleic acid.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    bool
        True for DNA and RNA linking components.
    """
    link = _link_type(component)
    return "dna" in link or "rna" in link


@cache
def component_kind(component: str) -> Kind:
    """
    Return what a component is, in a word.

    Parameters
    ----------
    component : str
        Residue name.

    Returns
    -------
    {"amino acid", "nucleotide", "saccharide", "water", "other"}
        By the Chemical Component Dictionary. A component that it does not have is ``"other"``.

    Examples
    --------
    >>> [component_kind(name) for name in ("MSE", "DA", "NAG", "HOH", "CA")]
    ['amino acid', 'nucleotide', 'saccharide', 'water', 'other']
    """
    if component in _WATERS:
        return "water"
    if is_amino_acid(component):
        return "amino acid"
    if is_nucleotide(component):
        return "nucleotide"
    return "saccharide" if "saccharide" in _link_type(component) else "other"


def where_component(
    test: Callable[[str], bool], components: npt.NDArray[np.str_]
) -> npt.NDArray[np.bool_]:
    """
    Return where a test of the component's name holds; each name is tested once.

    Parameters
    ----------
    test : callable
        From a residue name to a bool.
    components : ndarray, shape=(row,), dtype=str
        Residue names.

    Returns
    -------
    ndarray, shape=(row,), dtype=bool
        What `test` says.
    """
    unique, inverse = np.unique(components, return_inverse=True)
    return np.array([test(name) for name in unique.tolist()], dtype=bool)[inverse]
