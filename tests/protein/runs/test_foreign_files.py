"""Is a file of torch.save read without running anything that it pickled?"""

import argparse
import hashlib
import os
import pickle

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_protein.runs.files import sha256_of
from provq_protein.runs.foreign_files import read_foreign


class Harmful:
    """What runs a command when it is unpickled."""

    def __init__(self, trace) -> None:
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def save_old(thing, path):
    torch.save(thing, path, _use_new_zipfile_serialization=False)


def save_plainly(thing, path):
    path.write_bytes(pickle.dumps(thing))


@pytest.mark.parametrize("save", [torch.save, save_old])
def test_plain_values_and_tensors_are_read(save, tmp_path) -> None:
    content = {
        "weight": torch.arange(3.0),
        "shape": torch.Size([3]),
        "args": argparse.Namespace(width=3),
        "names": ["a", None, 1.5],
    }
    save(content, tmp_path / "some.pt")
    found = read_foreign(tmp_path / "some.pt")
    assert torch.equal(found.pop("weight"), content.pop("weight"))
    assert found == content


@pytest.mark.parametrize("save", [torch.save, save_old, save_plainly])
def test_code_is_not_run(save, tmp_path) -> None:
    path, trace = tmp_path / "some.pt", tmp_path / "trace"
    save({"weight": torch.zeros(2), "more": Harmful(trace)}, path)
    with pytest.raises(CheckpointError, match=r"some\.pt.*holds more than tensors") as caught:
        read_foreign(path)
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    # torch's own message tells how to run it all the same.
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("save", [torch.save, save_old])
def test_what_would_run_is_named(save, tmp_path) -> None:
    save({"more": Harmful("x")}, tmp_path / "some.pt")
    with pytest.raises(CheckpointError, match=r"\((posix|nt)\.system\)"):
        read_foreign(tmp_path / "some.pt")


def test_every_cut_is_refused(tmp_path) -> None:
    whole, part = tmp_path / "whole.pt", tmp_path / "part.pt"
    torch.save({"weight": torch.arange(64.0)}, whole)
    content = whole.read_bytes()
    for length in range(0, len(content), 37):
        part.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"part\.pt: is damaged"):
            read_foreign(part)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_foreign(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_foreign(tmp_path)


def test_identity_is_that_of_the_bytes(tmp_path) -> None:
    (tmp_path / "some.bin").write_bytes(b"abc")
    assert sha256_of(tmp_path / "some.bin") == hashlib.sha256(b"abc").hexdigest()
