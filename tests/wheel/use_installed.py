"""Can the installed packages be used where no source tree is? Run by check_wheel.py with -I.

Arguments: the checkout that must not be imported from, and a token file of the command line.
"""

import importlib
import sys
from importlib import metadata, resources
from pathlib import Path


def check(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(message)


def main() -> None:
    source_tree, token_file = Path(sys.argv[1]), Path(sys.argv[2])
    for name in ("provq_protein", "provq_vision", "structtokenbench"):
        module = importlib.import_module(name)
        path = Path(str(module.__file__)).resolve()
        check(not path.is_relative_to(source_tree), f"{name} was imported from {path}")
        check(resources.files(name).joinpath("py.typed").is_file(), f"{name} has no py.typed")

    import numpy as np

    from provq_protein import StructureTokenizer, load_tokens

    check(metadata.version("provq") != "", "no version")
    recipes = [
        entry.name for entry in resources.files("provq_protein").joinpath("recipes").iterdir()
    ]
    check(any(name.endswith(".toml") for name in recipes), f"no recipes, only {recipes}")

    tokenizer = StructureTokenizer.from_pretrained()
    saved = load_tokens(token_file)
    check(len(saved) > 0, f"no tokens in {token_file}")
    first = saved[0]
    check(first.fingerprint == tokenizer.fingerprint, "the token file names another tokenizer")
    again = {tokens.chain_id: tokens for tokens in tokenizer.encode([first.source])}
    check(np.array_equal(again[first.chain_id].ids, first.ids), "API and command line differ")
    backbone = tokenizer.decode([first])[0]
    check(len(backbone) == len(first.ids), "decoding changed the number of residues")


if __name__ == "__main__":
    main()
