"""Is the switch between matrix libraries only thrown where it is exact, and put back?"""

import threading

import pytest
import torch

from provq_protein.model import matmul_route
from provq_protein.model.geometric_encoder import GeometricEncoder, GeometricEncoderConfig

CPU = torch.device("cpu")
SETTING = torch.backends.mkldnn.matmul


@pytest.fixture(autouse=True)
def fresh_answer():
    """Let each test ask the machine anew, and leave the process as it was."""
    before = SETTING.fp32_precision
    matmul_route.onednn_is_exact.cache_clear()
    yield
    matmul_route.onednn_is_exact.cache_clear()
    assert SETTING.fp32_precision == before


@pytest.fixture
def exact_machine(monkeypatch):
    """Pretend that the route exists and is exact."""
    monkeypatch.setattr(matmul_route, "onednn_is_exact", lambda: True)


def test_the_setting_is_thrown_inside_only(exact_machine):
    before = SETTING.fp32_precision
    with matmul_route.fast_exact_products(CPU):
        assert SETTING.fp32_precision == "bf16"
        with matmul_route.fast_exact_products(CPU):
            pass
        assert SETTING.fp32_precision == "bf16"
    assert SETTING.fp32_precision == before


def test_the_setting_comes_back_after_an_error(exact_machine):
    before = SETTING.fp32_precision
    with pytest.raises(KeyError), matmul_route.fast_exact_products(CPU):
        raise KeyError
    assert SETTING.fp32_precision == before


def test_threads_that_overlap_put_back_what_was_there_first(exact_machine):
    before = SETTING.fp32_precision
    entered, leave = threading.Event(), threading.Event()

    def other():
        with matmul_route.fast_exact_products(CPU):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with matmul_route.fast_exact_products(CPU):
        thread.start()
        assert entered.wait(10)
    assert SETTING.fp32_precision == "bf16"  # the other one is still inside
    leave.set()
    thread.join()
    assert SETTING.fp32_precision == before


def test_other_devices_are_left_alone(exact_machine):
    before = SETTING.fp32_precision
    with matmul_route.fast_exact_products(torch.device("cuda")):
        assert SETTING.fp32_precision == before


def _with_capability(monkeypatch, name):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: name)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)


def test_a_route_that_rounds_is_refused(monkeypatch):
    _with_capability(monkeypatch, "AVX512")
    asked = []

    def error():
        asked.append(SETTING.fp32_precision)
        return 3e-3 if SETTING.fp32_precision == "bf16" else 2e-6

    monkeypatch.setattr(matmul_route, "route_error", error)
    assert not matmul_route.onednn_is_exact()
    assert asked[1] == "bf16"


def test_a_route_with_float32_errors_is_taken(monkeypatch):
    _with_capability(monkeypatch, "AVX512")
    monkeypatch.setattr(matmul_route, "route_error", lambda: 2e-6)
    assert matmul_route.onednn_is_exact()


def test_processors_without_the_route_are_not_asked(monkeypatch):
    _with_capability(monkeypatch, "AVX2")
    monkeypatch.setattr(matmul_route, "route_error", lambda: pytest.fail("asked"))
    assert not matmul_route.onednn_is_exact()


def test_the_default_route_has_float32_errors():
    assert 0 < matmul_route.route_error() < 1e-5


@torch.no_grad()
def test_encoding_leaves_the_setting_as_it_was(make_coords, exact_machine):
    before = SETTING.fp32_precision
    encoder = GeometricEncoder(
        GeometricEncoderConfig(latent_dim=4, width=16, vector_heads=4)
    ).eval()
    everywhere = torch.ones(1, 20, dtype=torch.bool)
    encoder(
        torch.from_numpy(make_coords(20, 0))[None], everywhere, torch.arange(20)[None], everywhere
    )
    assert SETTING.fp32_precision == before
