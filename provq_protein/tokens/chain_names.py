"""What is a chain called in a table, a FASTA file or an index of many chains?"""

import re
from collections.abc import Callable

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import TokenSequence

_STRUCTURE_SUFFIXES = (".cif", ".mmcif", ".bcif", ".pdb", ".ent", ".fcz")
_COMPRESSION_SUFFIXES = (".gz", ".zst")
# What is special to some shell, file system or table; letters and digits of all scripts are not.
_SPECIAL = re.compile(r"[^\w.+-]")
_SEPARATORS = {"/": "/", "\\": "/", "!": "!"}


def chain_name(chain: TokenSequence) -> str:
    """
    Name a chain after its file, chain id and model.

    Parameters
    ----------
    chain : TokenSequence
        One chain.

    Returns
    -------
    str
        ``STEM_CHAIN``, or ``STEM_CHAIN.MODEL`` for every model but the first. The stem is the
        file name without folders, archive and structure suffixes, or ``chain`` if there is
        none. Whatever is no letter, digit, ``.``, ``+`` or ``-`` becomes ``_``.

    Notes
    -----
    It depends on the chain alone, so that a chain has the same name in every file. Two chains
    can have the same one, if their files do.

    Examples
    --------
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
    ...     source="human.tar!entries/1abc.cif.gz",
    ...     model=2,
    ...     fingerprint="c0ffee",
    ...     codebook_size=4,
    ... )
    >>> chain_name(chain), chain_path(chain)
    ('1abc_A.2', 'human.tar!entries/1abc.cif.gz_A.2')
    """
    # Both separators: the token file may come from another system.
    stem = re.split(r"[/\\!]", chain.source)[-1]
    # A leading dot would hide a file of that name.
    stem = _SPECIAL.sub("_", _without_suffixes(stem)).lstrip(".")
    return f"{stem or 'chain'}{_tail(chain)}"


def chain_path(chain: TokenSequence) -> str:
    """
    Name a chain as `chain_name` does, but after its whole file name, folders and suffixes included.

    Parameters
    ----------
    chain : TokenSequence
        One chain.

    Returns
    -------
    str
        Different for every chain, unless file names differ in special characters alone.
    """
    parts = re.split(r"([/\\!])", chain.source)
    names = [_SEPARATORS.get(part) or _SPECIAL.sub("_", part) for part in parts]
    return f"{''.join(names) or 'chain'}{_tail(chain)}"


# How a user may ask for chains to be named.
CHAIN_NAMES: dict[str, Callable[[TokenSequence], str]] = {"name": chain_name, "path": chain_path}


class UniqueNames:
    """
    Name chains, and refuse the second one of a name.

    Parameters
    ----------
    rule : {"name", "path"}
        `chain_name` or `chain_path`.

    Raises
    ------
    TokenFormatError
        If the rule is unknown.
    """

    def __init__(self, rule: str = "name") -> None:
        if rule not in CHAIN_NAMES:
            msg = f"unknown rule {rule!r} for chain names; use one of {', '.join(CHAIN_NAMES)}"
            raise TokenFormatError(msg)
        self._rule = rule
        self._origins: dict[str, str] = {}

    def add(self, chain: TokenSequence, *, file: str) -> str:
        """
        Return the name of one more chain.

        Parameters
        ----------
        chain : TokenSequence
            One chain.
        file : str
            The token file that it comes from, for the error message.

        Returns
        -------
        str
            A name that no other chain has.

        Raises
        ------
        TokenFormatError
            If another chain has it already; the message names both.
        """
        name = CHAIN_NAMES[self._rule](chain)
        origin = f"{chain.source or 'arrays'}: chain {chain.chain_id} of {file}"
        first = self._origins.setdefault(name, origin)
        if first is not origin:
            help = " (--ids path tells apart files whose stems are equal)"
            msg = (
                f"two chains are called {name!r}: {first}, and {origin}; export them apart, or "
                f"name their files differently{help if self._rule == 'name' else ''}"
            )
            raise TokenFormatError(msg)
        return name


def _without_suffixes(name: str) -> str:
    for suffixes in (_COMPRESSION_SUFFIXES, _STRUCTURE_SUFFIXES):
        for suffix in suffixes:
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
                break
    return name


def _tail(chain: TokenSequence) -> str:
    model = f".{chain.model}" if chain.model > 1 else ""
    return f"_{_SPECIAL.sub('_', chain.chain_id)}{model}"
