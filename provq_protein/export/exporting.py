"""How are token files turned into another layout, whole or not at all?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain as concatenated
from pathlib import Path
from typing import Literal, get_args

from provq_protein.errors import TokenFormatError
from provq_protein.export.datasets_folder import write_datasets
from provq_protein.export.folders import check_folder, replacing_folder
from provq_protein.export.foldseek import write_foldseek
from provq_protein.export.memmap import write_memmap
from provq_protein.export.token_files import NamedChain, OnProblem, named_chains, token_files
from provq_protein.runs.files import replacing
from provq_protein.tokens.formats import check_output
from provq_protein.tokens.parquet import require_pyarrow
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.tokens.text import Style, write_fasta

Target = Literal["memmap", "datasets", "foldseek", "fasta"]
TARGETS: tuple[str, ...] = get_args(Target)
CHAINS_PER_FILE = 50_000


@dataclass(frozen=True, kw_only=True)
class Exported:
    """
    What an export holds.

    Parameters
    ----------
    chains : int
        Number of chains; if 0, nothing was written.
    residues : int
        Number of their residues, resolved or not.
    """

    chains: int
    residues: int


def export_tokens(
    inputs: Iterable[str | Path],
    output: str | Path,
    *,
    to: Target,
    names: str = "name",
    style: Style = "ints",
    chains_per_file: int = CHAINS_PER_FILE,
    overwrite: bool = False,
    on_problem: OnProblem | None = None,
) -> Exported:
    """
    Turn token files into another layout.

    Parameters
    ----------
    inputs : iterable of str or Path
        Token files of any format, and folders of Parquet token files, in order.
    output : str or Path
        Folder to write; for ``"fasta"`` a file.
    to : {"memmap", "datasets", "foldseek", "fasta"}
        Arrays for `provq_protein.export.token_array.TokenArray`, a folder for the package
        ``datasets``, a Foldseek database, or text.
    names : {"name", "path"}, optional
        Whether chains are named after the stems of their files, or after the whole names.
    style : {"ints", "fixed"}, optional
        Of text: numbers, or a fixed number of characters per token.
    chains_per_file : int, optional
        Of ``"datasets"``: number of chains of a Parquet file.
    overwrite : bool, optional
        Whether an earlier export may be replaced.
    on_problem : callable, optional
        Called with the error of each token file that cannot be read, while the others are.
        Without it, the first one is raised.

    Returns
    -------
    Exported
        What was written.

    Raises
    ------
    TokenFormatError
        If the output cannot be written, the tokens do not fit the layout, two chains have the
        same name, or different models made them. Nothing is written then.
    MissingExtraError
        If a format needs a package that is not installed.
    """
    output = Path(output)
    if to not in TARGETS:
        msg = f"unknown layout {to!r}; use one of {', '.join(TARGETS)}"
        raise TokenFormatError(msg)
    if chains_per_file < 1:
        msg = f"chains_per_file must be at least 1, got {chains_per_file}"
        raise TokenFormatError(msg)
    if to == "fasta":
        check_output(output, overwrite=overwrite)
    else:
        check_folder(output, overwrite=overwrite)
    if to == "datasets":
        require_pyarrow()
    chains = named_chains(token_files(inputs), names=names, on_problem=on_problem)
    # Before anything is made on disk: without chains there is nothing to say about a model.
    first = next(chains, None)
    if first is None:
        return Exported(chains=0, residues=0)
    chains = concatenated([first], chains)
    if to == "fasta":
        return _write_text(output, chains, style)
    with replacing_folder(output) as folder:
        if to == "memmap":
            number, residues = write_memmap(folder, chains)
        elif to == "foldseek":
            number, residues = write_foldseek(folder, chains)
        else:
            number, residues = write_datasets(
                folder, chains, names=names, chains_per_file=chains_per_file
            )
    return Exported(chains=number, residues=residues)


def _write_text(output: Path, chains: Iterable[NamedChain], style: Style) -> Exported:
    residues = 0

    def pairs() -> Iterator[tuple[str, TokenSequence]]:
        nonlocal residues
        for chain in chains:
            residues += len(chain.tokens)
            yield chain.name, chain.tokens

    with replacing(output) as temporary:
        number = write_fasta(temporary, pairs(), style=style)
    return Exported(chains=number, residues=residues)
