"""How is a vocabulary saved as a tokenizer of ``transformers`` (needs the extra ``plm``)?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from provq_protein.errors import TokenFormatError
from provq_protein.extras import require_extra
from provq_protein.runs.files import replacing

# The names under which `transformers` knows special tokens; it has none for a chain break.
_ROLES = ("bos", "eos", "pad", "mask", "unk")
_TOKENIZER, _CONFIG = "tokenizer.json", "tokenizer_config.json"


def save_fast_tokenizer(
    folder: Path,
    *,
    texts: Sequence[str],
    special: Mapping[str, int],
    width: int,
    overwrite: bool,
) -> None:
    """
    Save a vocabulary as a fast tokenizer.

    Parameters
    ----------
    folder : Path
        Made if it is absent; other files in it stay.
    texts : sequence of str
        The text of each id; those of codes have `width` characters.
    special : mapping from str to int
        The id of each special token, by what it is for; ``"bos"`` and ``"eos"`` at least.
    width : int
        Number of characters of the text of a code.
    overwrite : bool
        Whether tokenizer files that exist may be replaced.

    Raises
    ------
    TokenFormatError
        If the files exist, or the folder cannot be written.
    MissingExtraError
        If the package tokenizers is not installed.
    """
    contents = {
        _TOKENIZER: _tokenizer_json(texts, special, width),
        _CONFIG: _config_json(texts, special),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existing = [name for name in contents if (folder / name).exists()]
        if existing and not overwrite:
            has = " and ".join(existing)
            msg = f"{folder}: has {has}; choose another folder, or pass overwrite=True"
            raise TokenFormatError(msg)
        for name, content in contents.items():
            with replacing(folder / name) as temporary:
                temporary.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        msg = f"{folder}: cannot be written: {error.strerror or error}"
        raise TokenFormatError(msg) from error


def _tokenizer_json(texts: Sequence[str], special: Mapping[str, int], width: int) -> str:
    tokenizers = require_extra("tokenizers", extra="plm", purpose="a tokenizer for transformers")
    unknown = {"unk_token": texts[special["unk"]]} if "unk" in special else {}
    # Without a token for what is unknown, text that is no token is an error.
    words = {text: id for id, text in enumerate(texts)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, **unknown))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(f".{{{width}}}"), "isolated"),
        ]
    )
    backend.decoder = tokenizers.decoders.Fuse()
    bos, eos = texts[special["bos"]], texts[special["eos"]]
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {bos} $B {eos}",
        special_tokens=[(bos, special["bos"]), (eos, special["eos"])],
    )
    backend.add_special_tokens([texts[id] for id in special.values()])
    return backend.to_str(pretty=True) + "\n"


def _config_json(texts: Sequence[str], special: Mapping[str, int]) -> str:
    """Written here, since folders that transformers 5 writes are not opened by transformers 4."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": texts[special[name]] for name in _ROLES if name in special},
        "additional_special_tokens": [
            texts[id] for name, id in special.items() if name not in _ROLES
        ],
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }
    return json.dumps(config, indent=2) + "\n"
