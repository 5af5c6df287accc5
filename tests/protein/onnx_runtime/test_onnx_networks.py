"""Are the parts that stand in for torch right by themselves?"""

import math

import numpy as np
import pytest
import torch

from provq_protein.geometry.frames import backbone_frames
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.onnx_runtime.choosing import nearest_codes
from provq_protein.onnx_runtime.model_folder import load_encoder
from provq_protein.onnx_runtime.networks import encoder_network
from provq_protein.onnx_runtime.onnx_graph import OnnxGraph
from provq_protein.onnx_runtime.sessions import Network, default_threads
from provq_protein.onnx_runtime.step_table import gelu, steps_of
from provq_protein.onnx_runtime.surroundings import frames_of, surroundings
from provq_protein.quantize import nearest_codes as torch_nearest_codes
from provq_protein.runs.documents import default_model


@pytest.fixture(scope="module")
def shipped():
    return load_encoder(default_model())


def test_the_written_network_is_valid_onnx(shipped) -> None:
    onnx = pytest.importorskip("onnx", reason="the checker of ONNX files is not installed")
    model = onnx.load_from_string(encoder_network(shipped.settings, shipped.tensors))
    onnx.checker.check_model(model, full_check=True)
    assert [one.name for one in model.graph.input] == ["surroundings", "offsets", "along_chain"]
    assert [one.name for one in model.graph.output] == ["latents"]
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    np.testing.assert_array_equal(
        stored["offsets.weight"], shipped.tensors["encoder.offsets.weight"]
    )


def test_a_graph_computes_what_it_says() -> None:
    pytest.importorskip("onnxruntime", reason="networks need the extra 'onnx'")
    graph = OnnxGraph("sums")
    rows = graph.input("rows", np.float32, ("row", 300))
    shift = graph.constant("shift", np.full(300, -1.5, dtype=np.float32))
    sizes = graph.constant("sizes", np.array([100, 200], dtype=np.int64))
    graph.split(graph.apply("Add", rows, shift), sizes, ("early", "late"), axis=-1)
    graph.output("late", "result", np.float32, ("row", 200))
    values = np.arange(600, dtype=np.float32).reshape(2, 300)
    found = Network(graph.to_bytes(), threads=1)({"rows": values})
    np.testing.assert_array_equal(found, values[:, 100:] - 1.5)


def test_steps_of_codes_are_those_of_the_reader_in_double_precision(shipped) -> None:
    model = StructureAutoencoder.load(default_model())
    layers = model.course.layers.double()
    with torch.no_grad():
        read = layers(torch.from_numpy(shipped.codes).double())
    steps = steps_of(shipped.codes, shipped.tensors)
    np.testing.assert_allclose(steps.shifts, 3.8 * read[:, 6:].numpy(), atol=1e-12, rtol=0)
    single = StructureAutoencoder.load(default_model())
    with torch.no_grad():
        rotations, shifts = single.course(torch.from_numpy(shipped.codes))
    np.testing.assert_allclose(steps.rotations, rotations.numpy(), atol=1e-5, rtol=0)
    np.testing.assert_allclose(steps.shifts, shifts.numpy(), atol=1e-5, rtol=0)


def test_the_activation_is_exact_to_the_last_digits() -> None:
    values = np.concatenate([np.linspace(-12, 12, 20_001), [1e-300, -1e-9, 8.48528, 1e9, -1e9]])
    expected = [0.5 * x * (1.0 + math.erf(x * math.sqrt(0.5))) for x in values.tolist()]
    np.testing.assert_allclose(gelu(values), expected, atol=1e-14, rtol=1e-15)


def test_nearest_codes_are_those_of_torch_also_between_two(make_coords) -> None:
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(70, 5)).astype(np.float32)
    codes[40] = codes[7]
    between = 0.5 * (codes[:30] + codes[30:60])
    latents = np.concatenate([between, codes, generator.normal(size=(50, 5))]).astype(np.float32)
    found = nearest_codes(latents, codes)
    expected = torch_nearest_codes(torch.from_numpy(latents), torch.from_numpy(codes))
    assert found.tolist() == expected.tolist()
    assert found[30 + 40] == 7


def test_frames_are_those_of_torch_up_to_a_rounding(make_coords) -> None:
    coords = make_coords(50, 2)
    frames = frames_of(coords, np.ones(50, dtype=bool))
    rotations, places = backbone_frames(torch.from_numpy(coords))
    np.testing.assert_allclose(frames.rotations, rotations.numpy(), atol=3e-7, rtol=0)
    np.testing.assert_array_equal(frames.places, places.numpy())
    assert frames.rotations.dtype == np.float32
    exact = backbone_frames(torch.from_numpy(coords).double())[0].numpy()
    np.testing.assert_allclose(frames.exact_rotations(), exact, atol=1e-14, rtol=0)


def test_a_residue_sees_itself_first_even_beside_its_double(make_coords) -> None:
    coords = make_coords(30, 2)
    coords[11] = coords[10]
    resolved = np.ones(30, dtype=bool)
    resolved[[3, 12]] = False
    _, index = surroundings(frames_of(coords, resolved), 16)
    assert index[:, 0].tolist() == np.flatnonzero(resolved).tolist()
    assert index.shape == (28, 16)
    assert not np.isin(index, [3, 12]).any()


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("1", 1)])
def test_threads_are_those_of_the_environment(monkeypatch, value, expected) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert default_threads() == expected


@pytest.mark.parametrize("value", ["", "0", "many", "-2"])
def test_without_a_usable_number_of_threads_there_is_at_least_one(monkeypatch, value) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert default_threads() >= 1
