"""Are files refused that hold code, a part of the weights, or none, and is nothing run?"""

import os
import sys
import types

import pytest
import torch

from provq_protein.errors import CheckpointError
from provq_protein.peers.foreign_states import files_of, read_state


class Harmful:
    """What runs a command when it is unpickled."""

    def __init__(self, trace) -> None:
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def test_a_checkpoint_that_runs_code_is_refused_by_name(tmp_path) -> None:
    path, trace = tmp_path / "some.pt", tmp_path / "trace"
    torch.save({"module": {"model.a": torch.zeros(2)}, "callbacks": Harmful(trace)}, path)
    with pytest.raises(CheckpointError, match=r"some\.pt: .*\((posix|nt)\.system\)") as caught:
        read_state(path)
    assert not trace.exists()
    assert "save its state dict alone" in str(caught.value)


def test_settings_beside_weights_are_refused_by_name(tmp_path, monkeypatch) -> None:
    path, name = tmp_path / "some.pt", "omegaconf.dictconfig"
    settings = type("DictConfig", (dict,), {"__module__": name})
    with monkeypatch.context() as patched:
        # While it is written, as if the package were there.
        for module in ("omegaconf", name):
            patched.setitem(sys.modules, module, types.ModuleType(module))
        sys.modules[name].DictConfig = settings
        torch.save({"module": {"model.a": torch.zeros(2)}, "hparams": settings(a=1)}, path)
    with pytest.raises(CheckpointError, match=r"\(omegaconf\.dictconfig\.DictConfig\)"):
        read_state(path)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("zero_pp_rank_0_mp_rank_00_optim_states.pt", "state of an optimizer"),
        ("bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", "state of an optimizer"),
        ("zero_pp_rank_0_mp_rank_00_model_states.pt", r"ZeRO stage 3.*zero_to_fp32\.py"),
    ],
)
def test_the_wrong_file_of_a_deepspeed_folder_is_told_by_its_name(name, problem, tmp_path) -> None:
    # Whatever is in it: such files often name classes of DeepSpeed.
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=problem):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"optimizer_state_dict": {"state": {}}}, "state of an optimizer"),
        ({"module": {"a": torch.zeros(0), "b": torch.zeros(0)}}, "ZeRO stage 3"),
        ({"module": None}, "entry 'module': expected a mapping of weights, got NoneType"),
        ({"module": {}}, "holds no weights"),
        ({"a": torch.zeros(2), "epoch": 3}, "entry 'epoch': expected an ordinary tensor, got int"),
        ({"a": torch.eye(2).to_sparse()}, "entry 'a': expected an ordinary tensor, got torch.sp"),
        ({"a": torch.tensor([1.0, torch.inf])}, "entry 'a' holds NaN or infinity"),
        ([torch.zeros(2)], "expected a mapping of names to tensors, got list"),
    ],
)
def test_what_is_no_whole_state_dict_is_refused(content, problem, tmp_path) -> None:
    torch.save(content, tmp_path / "some.pt")
    with pytest.raises(CheckpointError, match=rf"some\.pt.*{problem}"):
        read_state(tmp_path / "some.pt")


def test_a_folder_in_parts_is_refused(tmp_path) -> None:
    for number in range(2):
        (tmp_path / f"mp_rank_0{number}_model_states.pt").touch()
    with pytest.raises(CheckpointError, match="in 2 parts"):
        files_of(tmp_path)


def test_a_folder_of_stage_three_is_refused(tmp_path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "zero_pp_rank_0_mp_rank_00_model_states.pt").touch()
    with pytest.raises(CheckpointError, match="ZeRO stage 3"):
        files_of(tmp_path)


def test_a_folder_without_weights_says_what_it_should_hold(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"mp_rank_00_model_states\.pt.*encoder_v0\.pth"):
        files_of(tmp_path)


def test_names_that_share_no_prefix_stay_as_they_are(tmp_path) -> None:
    torch.save({"model.a": torch.zeros(2), "b": torch.zeros(2)}, tmp_path / "some.pt")
    assert set(read_state(tmp_path / "some.pt").tensors) == {"model.a", "b"}
