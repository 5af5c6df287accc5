"""How are tokens laid out so that Hugging Face's ``datasets`` opens a folder of them?"""

from collections.abc import Iterable, Iterator
from itertools import chain as concatenated
from itertools import islice
from pathlib import Path

from provq_protein.export.folders import write_header
from provq_protein.export.token_files import NamedChain
from provq_protein.tokens.parquet import write_parquet
from provq_protein.tokens.sequence import TokenSequence

KIND = "datasets"

_CARD = """\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
---

# Structure tokens

{chains} protein chains, {residues} residues, tokenized by the model with fingerprint
`{fingerprint}` ({codebook_size} codes).

```python
from datasets import load_dataset

chains = load_dataset("path/to/this/folder", split="train")
```

`id` names the chain. `tokens` holds a code in [0, {codebook_size}) for each residue, or -1 where
N, CA and C are not all known; `resolved` says the same as booleans. The files are token files of
`provq-protein`, which describes the other columns.
"""


def write_datasets(
    folder: Path, chains: Iterable[NamedChain], *, names: str, chains_per_file: int
) -> tuple[int, int]:
    """
    Write chains as Parquet token files with a data set card.

    Parameters
    ----------
    folder : Path
        An empty folder.
    chains : iterable of NamedChain
        One at least; of one model. A row group of them is kept in memory.
    names : {"name", "path"}
        By which rule they were named.
    chains_per_file : int
        At most.

    Returns
    -------
    tuple of (int, int)
        Numbers of chains and residues.
    """
    (folder / "data").mkdir()
    remaining = iter(chains)
    residues = number = 0
    last: TokenSequence | None = None

    def counted(group: Iterable[NamedChain]) -> Iterator[TokenSequence]:
        nonlocal residues, last
        for chain in group:
            residues += len(chain.tokens)
            last = chain.tokens
            yield chain.tokens

    for file, first in enumerate(remaining):
        group = concatenated([first], islice(remaining, chains_per_file - 1))
        path = folder / "data" / f"train-{file:05d}.parquet"
        number += write_parquet(path, counted(group), names=names)
    facts = {
        "fingerprint": last.fingerprint if last else None,
        "codebook_size": last.codebook_size if last else None,
        "chains": number,
        "residues": residues,
    }
    (folder / "README.md").write_text(_CARD.format(**facts), encoding="ascii", newline="\n")
    write_header(folder, KIND, facts)
    return number, residues
