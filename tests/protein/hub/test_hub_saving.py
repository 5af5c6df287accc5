"""Is a saved or published model the model that was loaded, with where it comes from?"""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

from provq_protein import StructureTokenizer
from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_protein.runs.documents import default_model
from provq_protein.structure.backbone import Backbone

FILES = ["README.md", "config.json", "model.safetensors"]


@pytest.fixture
def tokenizer(models) -> StructureTokenizer:
    return StructureTokenizer.from_pretrained(models[0])


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_shipped_model_is_saved_byte_for_byte(tmp_path) -> None:
    StructureTokenizer.from_pretrained().save_pretrained(tmp_path / "new" / "copy")
    shipped = [*FILES, "expected.json"]
    assert names(tmp_path / "new" / "copy") == sorted(shipped)
    assert names(tmp_path / "new") == ["copy"]
    for name in shipped:
        copied = (tmp_path / "new" / "copy" / name).read_bytes()
        assert copied == (default_model() / name).read_bytes(), name


def test_a_saved_model_is_the_loaded_one(tokenizer, make_coords, tmp_path) -> None:
    tokenizer.save_pretrained(tmp_path / "saved")
    again = StructureTokenizer.from_pretrained(tmp_path / "saved")
    chain = Backbone.from_arrays(make_coords(40, 1), chain_id="A")
    tokens = [one.encode([chain])[0] for one in (tokenizer, again)]
    assert again.fingerprint == tokenizer.fingerprint
    np.testing.assert_array_equal(tokens[0].ids, tokens[1].ids)
    decoded = [one.decode(tokens[:1])[0].coords for one in (tokenizer, again)]
    np.testing.assert_array_equal(*decoded)
    assert again.origin.training == {"command": "none | 3", "steps": 0}
    assert again.origin.card is not None
    assert "# Model card: saved" in again.origin.card
    assert "none \\| 3" in again.origin.card
    # What has been generated once is kept, under any name.
    again.save_pretrained(tmp_path / "renamed")
    assert (tmp_path / "renamed" / "README.md").read_text() == again.origin.card


def test_a_model_from_no_folder_has_a_card_with_blanks(tokenizer, tmp_path) -> None:
    StructureTokenizer(tokenizer.model).save_pretrained(tmp_path / "bare", license="mit")
    card = (tmp_path / "bare" / "README.md").read_text()
    assert "license: mit\n" in card
    assert "Not recorded" in card
    assert json.loads((tmp_path / "bare" / "config.json").read_text())["training"] == {}


def test_a_card_is_kept_as_long_as_it_is_true(models, tmp_path) -> None:
    mine = shutil.copytree(models[0], tmp_path / "mine")
    (mine / "README.md").write_text("# RMSD 0.4\n")
    tokenizer = StructureTokenizer.from_pretrained(mine)
    tokenizer.save_pretrained(tmp_path / "kept")
    assert (tmp_path / "kept" / "README.md").read_text() == "# RMSD 0.4\n"
    with pytest.raises(ConfigError, match="the model has a card, which is kept"):
        tokenizer.save_pretrained(tmp_path / "licensed", license="mit")
    assert not (tmp_path / "licensed").exists()
    with torch.no_grad():
        next(tokenizer.model.decoder.parameters()).add_(1.0)
    tokenizer.save_pretrained(tmp_path / "changed")
    assert "RMSD" not in (tmp_path / "changed" / "README.md").read_text()


def test_folders_are_replaced_only_where_nothing_is_lost(tokenizer, tmp_path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer.save_pretrained(folder)
    before = (folder / "config.json").read_bytes()
    with pytest.raises(CheckpointError, match=r"exists; .*overwrite=True"):
        tokenizer.save_pretrained(folder)
    tokenizer.save_pretrained(folder, overwrite=True)
    assert (folder / "config.json").read_bytes() == before
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(CheckpointError, match=r"notes\.txt"):
        tokenizer.save_pretrained(folder, overwrite=True)
    with pytest.raises(CheckpointError, match="is a file"):
        tokenizer.save_pretrained(folder / "notes.txt", overwrite=True)
    assert (folder / "notes.txt").read_text() == "precious"


PUSH = """
import json, sys
from provq_protein import StructureTokenizer
from provq_protein.errors import ProvqError
tokenizer = StructureTokenizer.from_pretrained(sys.argv[1])
url = tokenizer.push_to_hub("someone/new", private=True, commit_message="First", token="hf_x")
plain = tokenizer.push_to_hub("someone/plain", create_pr=True, license="mit", token="hf_x")
back = StructureTokenizer.from_pretrained("someone/new")
print(json.dumps([url, plain, back.fingerprint, tokenizer.fingerprint, back.origin.training]))
"""


def test_what_is_published_comes_back(served, models, python) -> None:
    stand_in, address = served
    done = python("-c", PUSH, models[0], HF_ENDPOINT=address)
    assert done.returncode == 0, done.stderr
    url, proposal, there, here, training = json.loads(done.stdout)
    assert url.startswith(f"{address}/someone/new/commit/")
    assert proposal == f"{address}/someone/plain/discussions/1"
    assert there == here
    assert training["command"] == "none | 3"
    assert [(one["organization"], one["name"]) for one in stand_in.created] == [
        ("someone", "new"),
        ("someone", "plain"),
    ]
    # Older releases send False where newer ones leave it to the owner's settings.
    assert [bool(one.get("private")) for one in stand_in.created] == [True, False]
    first, second = stand_in.commits
    assert first["files"] == second["files"] == FILES
    assert (first["name"], first["revision"], first["summary"]) == ("someone/new", "main", "First")
    assert "create_pr=1" in second["query"]
    files = stand_in.repositories["someone/new"]["main"]
    assert files["model.safetensors"] == (models[0] / "model.safetensors").read_bytes()
    assert b"# Model card: someone/new" in files["README.md"]
    assert b"license: mit" in stand_in.repositories["someone/plain"]["main"]["README.md"]


REFUSED = """
from provq_protein import StructureTokenizer
from provq_protein.errors import CheckpointError
import sys
try:
    StructureTokenizer.from_pretrained(sys.argv[1]).push_to_hub("someone/new")
except CheckpointError as error:
    print(error)
"""


def test_a_refused_upload_says_what_to_do(models, python) -> None:
    done = python("-c", REFUSED, models[0], HF_HUB_OFFLINE="1")
    (line,) = done.stdout.splitlines()
    for words in ("someone/new: the Hub did not take the model", "hf auth login", "hf upload"):
        assert words in line


def test_nothing_is_published_under_an_impossible_name(tokenizer, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match="USER/NAME"):
        tokenizer.push_to_hub("new")
    with pytest.raises(ConfigError, match="license"):
        tokenizer.push_to_hub("someone/new", license="My License")
    with pytest.raises(MissingExtraError, match=r"provq\[hub\]"):
        tokenizer.push_to_hub("someone/new")
