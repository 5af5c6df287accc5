"""Has a residue or a token of the samples moved? One table per file, one line per residue.

`make golden` rewrites the tables and shows what moved. A change of a table under an unchanged model
is a breaking change and needs an entry in the changelog.
"""

from pathlib import Path

import pytest

from provq_protein.structure import read_backbones
from provq_protein.tokenizer import StructureTokenizer

pytestmark = pytest.mark.golden

_TABLES = Path(__file__).with_name("residues")
_COLUMNS = ("number", "code", "name", "letter", "resolved", "label", "id")
_ID = _COLUMNS.index("id")
# Another processor rounds differently, and a latent halfway between two codes may then change
# sides; the same machine gives the same ids.
_SAME_IDS = 0.995


@pytest.fixture(scope="module")
def tokenizer():
    return StructureTokenizer.from_pretrained()


def rows(chain, ids):
    """Return the columns of each residue; a dot stands for no insertion code."""
    return [
        [
            str(chain.author_numbers[index]),
            chain.insertion_codes[index] or ".",
            chain.residue_names[index],
            chain.sequence[index],
            "yes" if chain.resolved[index] else "no",
            str(chain.label_numbers[index]),
            str(ids[index]),
        ]
        for index in range(len(chain))
    ]


def table(path, tokenizer):
    """Return the table of a file as text."""
    lines = [f"# {path.name}, model {tokenizer.fingerprint}"]
    for chain in read_backbones(path):
        (tokens,) = tokenizer.encode([chain])
        lines += ["", f"# chain {chain.chain_id}, label {chain.label_chain_id}, {len(chain)}"]
        found = [list(_COLUMNS), *rows(chain, tokens.ids)]
        widths = [max(map(len, column)) for column in zip(*found, strict=True)]
        lines += [
            " ".join(word.rjust(width) for word, width in zip(row, widths, strict=True))
            for row in found
        ]
    return "\n".join(lines) + "\n"


def split(text):
    """Return a table without ids, and the ids."""
    words = [line.split() for line in text.splitlines()]
    return (
        [row[:_ID] if len(row) == len(_COLUMNS) else row for row in words],
        [row[_ID] for row in words if len(row) == len(_COLUMNS)],
    )


def test_every_sample_has_a_table_and_no_other_file_has(sample_structures, update_golden):
    if update_golden:
        pytest.skip("the tables are being rewritten")
    assert sorted(path.name for path in _TABLES.iterdir()) == sorted(
        f"{path.name}.txt" for path in sample_structures
    )


def test_residues_and_ids_of_the_samples_are_the_committed_ones(
    sample_structures, tokenizer, update_golden
):
    found = {f"{path.name}.txt": table(path, tokenizer) for path in sample_structures}
    if update_golden:
        _TABLES.mkdir(exist_ok=True)
        for old in _TABLES.iterdir():
            old.unlink()
        for name, text in found.items():
            (_TABLES / name).write_text(text)
        pytest.skip(f"rewrote {len(found)} tables")
    same = count = 0
    for name, text in found.items():
        residues, ids = split(text)
        expected, expected_ids = split((_TABLES / name).read_text())
        # Numbers and names are exact on every machine.
        assert residues == expected, name
        same += sum(one == two for one, two in zip(ids, expected_ids, strict=True))
        count += len(ids)
    assert same / count >= _SAME_IDS
