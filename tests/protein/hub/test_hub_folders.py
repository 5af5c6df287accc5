"""Is a model found by path and by repository alike, and is it said what to do where it is not?"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from provq_protein import StructureTokenizer
from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_protein.hub.folders import is_repository, model_folder, model_name
from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer
from provq_protein.runs.documents import default_model
from provq_protein.structure.backbone import Backbone


@pytest.fixture
def chain(make_coords) -> Backbone:
    return Backbone.from_arrays(make_coords(40, 1), chain_id="A")


@pytest.mark.parametrize("kind", [StructureTokenizer, OnnxStructureTokenizer])
def test_a_repository_in_the_cache_is_a_model_folder(
    kind, hub, tmp_path, sample_structures
) -> None:
    if kind is OnnxStructureTokenizer:
        pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    files = {path.name: path.read_bytes() for path in default_model().iterdir()}
    hub.add_to_cache(tmp_path, "our-lab/model_1.5", files, commit="a" * 40, ref="main")
    there = kind.from_pretrained("our-lab/model_1.5", cache_dir=tmp_path, local_files_only=True)
    here = kind.from_pretrained()
    assert there.name == "our-lab/model_1.5"
    assert there.fingerprint == here.fingerprint
    for one, other in zip(
        there.encode(sample_structures[:1]), here.encode(sample_structures[:1]), strict=True
    ):
        np.testing.assert_array_equal(one.ids, other.ids)


def test_a_revision_is_another_model(cache, models, chain) -> None:
    given = {"cache_dir": cache, "local_files_only": True}
    expected = [StructureTokenizer.from_pretrained(folder) for folder in models]
    assert expected[0].fingerprint != expected[1].fingerprint
    main = StructureTokenizer.from_pretrained("someone/tiny", **given)
    named = StructureTokenizer.from_pretrained("someone/tiny@v2", **given)
    keyword = StructureTokenizer.from_pretrained("someone/tiny", revision="v2", **given)
    commit = StructureTokenizer.from_pretrained("someone/tiny@" + "2" * 40, **given)
    assert main.fingerprint == expected[0].fingerprint
    assert [one.fingerprint for one in (named, keyword, commit)] == [expected[1].fingerprint] * 3
    assert named.name == keyword.name == "someone/tiny@v2"
    ids = [one.encode([chain])[0].ids for one in (named, expected[1])]
    np.testing.assert_array_equal(*ids)
    decoded = [one.decode(one.encode([chain]))[0].coords for one in (named, expected[1])]
    np.testing.assert_array_equal(*decoded)


@pytest.mark.parametrize("name", ["someone/other", "someone/tiny@v3", "models/defualt"])
def test_what_is_not_in_the_cache_is_said_with_the_way_out(cache, name) -> None:
    with pytest.raises(CheckpointError) as error:
        model_folder(name, cache_dir=cache, local_files_only=True)
    text = str(error.value)
    repository, at, revision = name.partition("@")
    command = f"hf download {repository}{' --revision ' + revision if at else ''} --local-dir"
    # Whoever mistyped a path, and whoever meant a repository.
    for words in (name, "no such folder", "check the path", command, "name FOLDER as the model"):
        assert words in text
    assert len(text.splitlines()) == 1


def test_a_cache_without_the_weights_is_not_a_model(cache, hub) -> None:
    files = {"config.json": (default_model() / "config.json").read_bytes()}
    hub.add_to_cache(cache, "someone/part", files, commit="3" * 40, ref="main")
    with pytest.raises(CheckpointError, match=r"someone/part: .* the cache of the Hub does not"):
        model_folder("someone/part", cache_dir=cache, local_files_only=True)


def test_a_repository_of_another_library_is_refused_by_its_configuration(cache, hub) -> None:
    files = {"config.json": json.dumps({"model_type": "bert"}).encode()}
    hub.add_to_cache(cache, "someone/bert", files, commit="3" * 40, ref="main")
    with pytest.raises(CheckpointError, match=r"someone/bert/config.json: is no model config"):
        model_folder("someone/bert", cache_dir=cache, local_files_only=True)


@pytest.mark.parametrize(
    "name",
    ["./a/b", "../a", "/a/b", "~/a", "a", "a/b/c", "-a/b", "a/.b", "a/b.git", "a--b/c", "a/b c"],
)
def test_what_can_only_be_a_path_needs_no_package(name, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="no such model folder; it should hold"):
        model_folder(name)


def test_a_path_object_is_never_a_repository(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="someone/tiny: no such model folder"):
        model_folder(Path("someone/tiny"))


def test_a_folder_goes_before_a_repository(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    (tmp_path / "someone" / "tiny").mkdir(parents=True)
    assert model_folder("someone/tiny") == Path("someone/tiny")
    for name, revision in (("someone/tiny", "v2"), ("someone/tiny@v2", None), (None, "v2")):
        with pytest.raises(ConfigError, match="has no revision 'v2'"):
            model_folder(name, revision=revision)
    (tmp_path / "someone" / "file").touch()
    with pytest.raises(CheckpointError, match="is a file, no model folder"):
        model_folder("someone/file")


def test_an_absent_package_is_named_with_its_extra(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"a/b: there is no such folder.*provq\[hub\]"):
        model_folder("a/b")


@pytest.mark.parametrize("revision", ["", "../../x", "a b", "-x", "a..b", "/x"])
def test_a_revision_cannot_leave_the_cache(revision) -> None:
    with pytest.raises(ConfigError, match="no revision can be called"):
        model_folder("a/b", revision=revision)
    with pytest.raises(ConfigError, match="no revision can be called"):
        model_folder(f"a/b@{revision}")


def test_two_revisions_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="name one revision"):
        model_folder("a/b@v1", revision="v2")


def test_names_of_models() -> None:
    assert model_name(None) == "default"
    assert model_name("a/b", "v1") == model_name("a/b@v1") == "a/b@v1"
    assert is_repository("a/b")
    assert not is_repository("a/b@v1")


FETCH = """
import json, sys
from provq_protein.errors import ProvqError
from provq_protein.hub.folders import model_folder
answers = []
for name in sys.argv[1:]:
    try:
        answers.append(sorted(path.name for path in model_folder(name).iterdir()))
    except ProvqError as error:
        answers.append(f"{type(error).__name__}: {error}")
print(json.dumps(answers))
"""


def test_three_files_are_fetched_and_refusals_say_what_to_do(served, models, python) -> None:
    stand_in, address = served
    files = {path.name: path.read_bytes() for path in models[0].iterdir()}
    others = {"README.md": b"# A card", "pytorch_model.bin": b"pickle", "more.safetensors": b"x"}
    stand_in.repositories["someone/tiny"] = {"main": files | others}
    stand_in.repositories["someone/cardless"] = {"main": files}
    stand_in.repositories["someone/old"] = {
        "main": {"pytorch_model.bin": b"pickle", "config.json": files["config.json"]}
    }
    stand_in.repositories["someone/bert"] = {
        "main": {"config.json": b"{}", "model.safetensors": b"gigabytes"}
    }
    stand_in.refused["someone/gated"] = (403, "GatedRepo")
    stand_in.refused["someone/broken"] = (500, "")
    names = ["tiny", "cardless", "tiny@v9", "old", "bert", "gated", "absent", "broken"]
    done = python("-c", FETCH, *(f"someone/{name}" for name in names), HF_ENDPOINT=address)
    assert done.returncode == 0, done.stderr
    tiny, cardless, revision, old, bert, gated, absent, broken = json.loads(done.stdout)
    assert tiny == ["README.md", "config.json", "model.safetensors"]
    assert cardless == ["config.json", "model.safetensors"]
    assert "someone/tiny@v9: the repository has no such revision" in revision
    assert "someone/old: the repository holds no model.safetensors" in old
    assert "someone/bert/config.json: is no model configuration" in bert
    assert "hf auth login" in gated
    assert "ask for access" in gated
    assert "no such folder, and no such repository" in absent
    assert "someone/broken" in broken
    assert "no such folder" in broken
    refusals = [revision, old, bert, gated, absent, broken]
    assert all(text.startswith("CheckpointError: ") for text in refusals)
    assert all(len(text.splitlines()) == 1 for text in refusals)
    # No weights of another library, and nothing that could run code.
    assert stand_in.downloaded.count("model.safetensors") == 2
    assert set(stand_in.downloaded) == {"README.md", "config.json", "model.safetensors"}


def test_what_was_fetched_once_is_there_offline(served, models, python) -> None:
    stand_in, address = served
    files = {path.name: path.read_bytes() for path in models[0].iterdir()}
    stand_in.repositories["someone/tiny"] = {"main": files}
    online = python("-c", FETCH, "someone/tiny", HF_ENDPOINT=address)
    offline = python("-c", FETCH, "someone/tiny", HF_HUB_OFFLINE="1", HF_ENDPOINT=address)
    assert online.stdout == offline.stdout, offline.stderr
    assert json.loads(offline.stdout) == [sorted(files)]


def test_a_hub_that_cannot_be_reached_is_no_traceback(python) -> None:
    # Nothing listens on the port for discarded data.
    done = python("-c", FETCH, "someone/tiny", HF_ENDPOINT="http://127.0.0.1:9")
    (text,) = json.loads(done.stdout)
    assert "someone/tiny: there is no such folder" in text
    assert "the Hub cannot be reached" in text
    assert done.stderr == ""
    assert "hf download someone/tiny --local-dir FOLDER" in text
