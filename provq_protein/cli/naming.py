"""What are the files called that ``provq-protein decode`` writes?"""

import re
import unicodedata
from collections.abc import Iterable

from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.sequence import TokenSequence

_STRUCTURE_SUFFIXES = (".cif", ".mmcif", ".bcif", ".pdb", ".ent")
# What is special to some shell or file system; letters and digits of all scripts are not.
_SPECIAL = re.compile(r"[^\w.+-]")


def output_names(tokens: Iterable[TokenSequence]) -> list[str]:
    """
    Name one mmCIF file per chain after its input file and chain.

    Parameters
    ----------
    tokens : iterable of TokenSequence
        Chains, in order.

    Returns
    -------
    list of str
        ``STEM_CHAIN.cif`` each. Where that is taken, also by a name that differs only in
        case, as on some disks, ``-2``, ``-3``, ... follows the chain.

    Examples
    --------
    >>> import dataclasses
    >>> chain = TokenSequence(
    ...     ids=[0],
    ...     resolved=[True],
    ...     sequence="G",
    ...     residue_names=("GLY",),
    ...     author_numbers=[1],
    ...     insertion_codes=("",),
    ...     label_numbers=[1],
    ...     chain_id="A",
    ...     label_chain_id="A",
    ...     source="entries/1abc.cif.gz",
    ...     model=1,
    ...     fingerprint="c0ffee",
    ...     codebook_size=4,
    ... )
    >>> output_names([chain, dataclasses.replace(chain, chain_id="a")])
    ['1abc_A.cif', '1abc_a-2.cif']
    """
    names = FileNames()
    return [names.of(chain) for chain in tokens]


class FileNames:
    """Names for one chain after another, as `output_names` gives them to many."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, chain: TokenSequence | Backbone) -> str:
        """
        Return a name that no earlier chain has.

        Parameters
        ----------
        chain : TokenSequence or Backbone
            The next chain.

        Returns
        -------
        str
            With its suffix.
        """
        base = plain_name(chain)
        name, number = base, 1
        while _key(name) in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(_key(name))
        return f"{name}.cif"


def plain_name(chain: TokenSequence | Backbone) -> str:
    """
    Return the name of a chain's file, without suffix and heedless of others.

    Parameters
    ----------
    chain : TokenSequence or Backbone
        One chain.

    Returns
    -------
    str
        Input stem and chain id, each safe as part of a file name.
    """
    # Both separators: the token file may come from another system.
    name = re.split(r"[/\\]", chain.source)[-1]
    if name.lower().endswith(".gz"):
        name = name[:-3]
    for suffix in _STRUCTURE_SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    # A leading dot would hide the file.
    stem = _SPECIAL.sub("_", name).lstrip(".") or "chain"
    return f"{stem}_{_SPECIAL.sub('_', chain.chain_id)}"


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
