"""Wide code tables become narrow without losing what tokens in use say."""

import json
from dataclasses import replace

import numpy as np
import pytest

from provq_protein.errors import ConfigError
from structtokenbench.probe import ProbeSettings
from structtokenbench.probe.wide_tables import narrowed


@pytest.fixture
def table():
    """Return 40 codes of 100 dimensions."""
    return np.random.default_rng(0).normal(size=(40, 100)).astype(np.float32)


def _distances(codes):
    return np.linalg.norm(codes[:, None] - codes[None], axis=-1)


def test_distances_of_codes_in_use_are_kept_up_to_scale(table):
    used = np.array([3, 5, 5, 7, 11, 11, 11])
    near = narrowed(table, used, 8)
    assert near.shape == (40, 8)
    kept = np.unique(used)
    wanted = _distances(table[kept].astype(np.float64)) * np.sqrt(8 / 100)
    np.testing.assert_allclose(_distances(near[kept]), wanted, atol=1e-5)


def test_codes_without_a_token_do_not_decide(table):
    loud = table.copy()
    loud[20:] *= 100.0
    used = np.arange(20)
    np.testing.assert_allclose(
        _distances(narrowed(loud, used, 19)[:20]),
        _distances(narrowed(table, used, 19)[:20]),
        atol=1e-4,
    )


def test_a_narrow_table_is_left_alone(table):
    assert narrowed(table, np.arange(40), 100) is table


def test_a_single_code_is_no_obstacle():
    near = narrowed(np.ones((1, 128), np.float32), np.zeros(5, np.int64), 64)
    np.testing.assert_allclose(near, np.zeros((1, 64)), atol=1e-6)


def test_settings_without_it_are_those_of_before():
    plain, narrow = ProbeSettings(), replace(ProbeSettings(), table_dims=64)
    assert "table_dims" not in plain.to_mapping()
    assert narrow.to_mapping() == {**plain.to_mapping(), "table_dims": 64}
    json.dumps(narrow.to_mapping())


def test_a_table_without_dimensions_is_refused():
    with pytest.raises(ConfigError, match="table_dims"):
        replace(ProbeSettings(), table_dims=0)
