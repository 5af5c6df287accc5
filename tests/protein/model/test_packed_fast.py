"""Are the ids of fast precision those of full precision, and is it said when they are not?"""

from dataclasses import replace

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.model.fast_encoding import FastEncoder, FastReport, gains_from
from provq_protein.model.geometric_encoder import GeometricEncoder, GeometricEncoderConfig
from provq_protein.quantize.nearest import nearest_codes


@pytest.fixture(scope="module")
def encoder():
    """Return a small encoder."""
    torch.manual_seed(5)
    sizes = {"latent_dim": 16, "width": 64, "vector_heads": 16}
    encoder = GeometricEncoder(GeometricEncoderConfig(**sizes)).eval()
    with torch.no_grad():
        encoder.offsets.weight.normal_(std=0.5)
    return encoder


def batch_of_one(make_coords, length, seed):
    coords = torch.from_numpy(make_coords(length, seed))[None].clone()
    resolved = torch.rand(1, length, generator=torch.Generator().manual_seed(seed)) > 0.05
    coords[~resolved] = torch.nan
    return coords, resolved, torch.arange(length)[None], torch.ones_like(resolved)


@pytest.fixture
def chains(make_coords):
    """Return batches of one chain."""
    return [batch_of_one(make_coords, 60 + 40 * seed, seed) for seed in range(6)]


@pytest.fixture
@torch.no_grad()
def codes(encoder, make_coords):
    """Return latents of other chains, to serve as codes."""
    batch = batch_of_one(make_coords, 400, 50)
    return encoder(*batch)[batch[1]][:256].clone()


@torch.no_grad()
def exact(encoder, codes, batch):
    return nearest_codes(encoder(*batch), codes)[batch[1]]


def test_ids_equal_those_of_full_precision(encoder, codes, chains):
    fast = FastEncoder(encoder, codes, audit_every=10)
    calibration = fast.calibrate(chains[:2])
    low = FastEncoder(encoder, codes)
    without_border = replace(calibration, threshold=-1.0)
    wrong, total = 0, None
    for batch in chains:
        ids, report = fast.encode(batch, calibration)
        assert torch.equal(ids[batch[1]], exact(encoder, codes, batch))
        assert not ids[~batch[1]].any()
        total = report if total is None else total + report
        rough, _ = low.encode(batch, without_border)
        wrong += int((rough[batch[1]] != exact(encoder, codes, batch)).sum())
    assert wrong > 0  # low precision alone is not enough for these codes
    assert total.mismatches == 0
    assert 0 < total.rechecked < total.residues / 2
    assert total.audited >= (total.residues - total.rechecked) / 10 - len(chains)


def test_the_threshold_is_above_the_largest_deviation(encoder, codes, chains):
    calibration = FastEncoder(encoder, codes).calibrate(chains)
    assert calibration.threshold == pytest.approx(1.1 * calibration.largest_deviation)
    assert calibration.residues == sum(int(batch[1].sum()) for batch in chains)
    assert 0 < calibration.largest_deviation < 0.1
    fewer = FastEncoder(encoder, codes).calibrate(chains[:1])
    assert fewer.largest_deviation <= calibration.largest_deviation


def test_the_audit_reports_planted_mismatches(encoder, codes, chains):
    fast = FastEncoder(encoder, codes, audit_every=2)
    calibration = fast.calibrate(chains[:2])
    # Low precision of another network: about all ids are wrong.
    torch.manual_seed(6)
    other = GeometricEncoder(encoder.config).eval()
    fast._low = FastEncoder(other, codes)._low
    ids, report = fast.encode(chains[-1], replace(calibration, threshold=0.0))
    assert report.audited >= report.residues // 2 - 1
    assert report.mismatches > report.audited / 2
    assert report.mismatch_bound == 1.0
    # Audited residues get the right id.
    right = exact(encoder, codes, chains[-1])
    assert (ids[chains[-1][1]] == right).sum() >= report.audited


def test_the_same_chain_gives_the_same_report(encoder, codes, chains):
    fast = FastEncoder(encoder, codes, audit_every=7)
    calibration = fast.calibrate(chains[:1])
    one, two = (fast.encode(chains[3], calibration) for _ in range(2))
    assert one[1] == two[1]
    assert torch.equal(one[0], two[0])


def test_copies_of_a_code_are_left_to_full_precision(encoder, codes, chains):
    doubled = torch.cat([codes[:40], codes[:40]])
    fast = FastEncoder(encoder, doubled)
    calibration = fast.calibrate(chains[:1])
    ids, report = fast.encode(chains[1], calibration)
    assert report.rechecked == report.residues
    assert torch.equal(ids[chains[1][1]], exact(encoder, doubled, chains[1]))


def test_one_code_needs_no_second_look(encoder, codes, chains):
    fast = FastEncoder(encoder, codes[:1])
    _, report = fast.encode(chains[0], fast.calibrate(chains[:1]))
    assert report.rechecked == 0


def test_a_chain_without_coordinates(encoder, codes, chains):
    coords, resolved, numbers, present = chains[0]
    fast = FastEncoder(encoder, codes)
    nothing = (coords, torch.zeros_like(resolved), numbers, present)
    ids, report = fast.encode(nothing, fast.calibrate(chains[:1]))
    assert not ids.any()
    assert (report.residues, report.mismatch_bound) == (0, 1.0)
    with pytest.raises(ConfigError, match="resolved residue"):
        fast.calibrate([nothing])


def test_settings_that_do_not_fit_are_refused(encoder, codes, chains):
    fast = FastEncoder(encoder, codes)
    calibration = fast.calibrate(chains[:1])
    with pytest.raises(ConfigError, match="calibrated for float16"):
        fast.encode(chains[0], replace(calibration, products="float16"))
    with pytest.raises(ConfigError, match="audit_every must be 1 or more, got 0"):
        FastEncoder(encoder, codes, audit_every=0)
    with pytest.raises(ConfigError, match="kind 'geometric', got a Linear"):
        FastEncoder(torch.nn.Linear(2, 2), codes)
    report = FastReport(
        products="bfloat16", threshold=1.0, residues=1, rechecked=0, audited=0, mismatches=0
    )
    with pytest.raises(ValueError, match="different settings"):
        report + replace(report, threshold=2.0)


def test_a_precision_that_does_not_pay_is_not_recommended(monkeypatch):
    cpu = torch.device("cpu")
    assert not gains_from(torch.float16, cpu)
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert gains_from(torch.bfloat16, cpu) is has
