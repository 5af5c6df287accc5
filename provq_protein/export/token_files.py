"""Which chains do many token files hold, in which order, and under which names?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.chain_names import UniqueNames
from provq_protein.tokens.formats import detect_format, load_tokens
from provq_protein.tokens.parquet import iterate_parquet
from provq_protein.tokens.sequence import TokenSequence

OnProblem = Callable[[Exception], None]


@dataclass(frozen=True, kw_only=True)
class NamedChain:
    """
    One chain on its way out.

    Parameters
    ----------
    name : str
        Unique among all that are exported together.
    tokens : TokenSequence
        The chain.
    """

    name: str
    tokens: TokenSequence


def token_files(inputs: Iterable[str | Path]) -> list[Path]:
    """
    Return the files that inputs stand for.

    Parameters
    ----------
    inputs : iterable of str or Path
        Token files, and folders of Parquet token files as a run writes them.

    Returns
    -------
    list of Path
        In the order of the inputs; those of a folder sorted by name. Hidden files are left out.

    Raises
    ------
    TokenFormatError
        If a folder has no Parquet file.
    """
    files: list[Path] = []
    for given in inputs:
        path = Path(given)
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(entry for entry in path.glob("*.parquet") if entry.name[0] != ".")
        if not found:
            msg = f"{path}: a folder without Parquet token files; name the token files themselves"
            raise TokenFormatError(msg)
        files += found
    return files


def iterate_token_file(path: Path) -> Iterator[TokenSequence]:
    """
    Yield the chains of one token file of any format.

    Parameters
    ----------
    path : Path
        A token file. Of Parquet files a row group is in memory, of others everything.

    Yields
    ------
    TokenSequence
        In stored order.

    Raises
    ------
    TokenFormatError
        If the file is absent, damaged or no token file.
    MissingExtraError
        If its format needs a package that is not installed.
    """
    try:
        is_parquet = path.is_file() and detect_format(path) == "parquet"
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise TokenFormatError(msg) from error
    yield from iterate_parquet(path) if is_parquet else load_tokens(path)


def named_chains(
    files: Sequence[Path], *, names: str = "name", on_problem: OnProblem | None = None
) -> Iterator[NamedChain]:
    """
    Yield the chains of token files that one model made.

    Parameters
    ----------
    files : sequence of Path
        Token files.
    names : {"name", "path"}, optional
        How chains are named: `provq_protein.tokens.chain_names.chain_name` or `chain_path`.
    on_problem : callable, optional
        Called with the error of each file that cannot be read, while the others are. Without
        it, the first one is raised.

    Yields
    ------
    NamedChain
        In the order of the files, and of the chains in each.

    Raises
    ------
    TokenFormatError
        If two chains have the same name, or different models made them; or a file turns out to
        be damaged after some of its chains.
    """
    unique = UniqueNames(names)
    model: tuple[str, int, Path] | None = None
    for path in files:
        begun = False
        chains = iterate_token_file(path)
        while True:
            try:
                chain = next(chains, None)
            except TokenFormatError as error:
                # What has been handed on cannot be taken back: better no export than half a file.
                if begun or on_problem is None:
                    raise
                on_problem(error)
                break
            if chain is None:
                break
            begun = True
            model = model or (chain.fingerprint, chain.codebook_size, path)
            _check_model(chain, path, *model)
            yield NamedChain(name=unique.add(chain, file=str(path)), tokens=chain)


def _check_model(
    chain: TokenSequence, path: Path, fingerprint: str, codebook_size: int, first: Path
) -> None:
    if (chain.fingerprint, chain.codebook_size) != (fingerprint, codebook_size):
        msg = (
            f"{path}: chain {chain.chain_id} of {chain.source or 'arrays'} was encoded by the "
            f"model with fingerprint {chain.fingerprint} ({chain.codebook_size} codes), but those "
            f"of {first} by {fingerprint} ({codebook_size} codes): equal ids would mean different "
            "things; export them apart, or encode the structures again"
        )
        raise TokenFormatError(msg)
