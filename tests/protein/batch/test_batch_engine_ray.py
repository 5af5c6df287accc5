"""Does a Ray cluster make the shards that one machine makes?"""

from types import SimpleNamespace

import pytest

from provq_protein.batch.ray_engine import check_resources
from provq_protein.batch.run import RunOptions
from provq_protein.errors import ConfigError


def cluster(**free):
    return SimpleNamespace(available_resources=lambda: free)


def test_actors_that_would_wait_for_ever_are_refused() -> None:
    check_resources(cluster(CPU=2.0), jobs=2, gpus=0.0)
    check_resources(cluster(CPU=4.0, GPU=1.0), jobs=4, gpus=0.25)
    with pytest.raises(ConfigError, match="3 actors need 3 CPUs and the cluster has 2 free"):
        check_resources(cluster(CPU=2.0), jobs=3, gpus=0.0)
    with pytest.raises(ConfigError, match="need 2 GPUs and the cluster has 1 free"):
        check_resources(cluster(CPU=9.0, GPU=1.0), jobs=2, gpus=1.0)
    with pytest.raises(ConfigError, match="has 0 free"):
        check_resources(cluster(), jobs=1, gpus=0.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
def test_the_shards_are_those_of_one_machine(
    encode, stand_ins, write_pdb, state_of, monkeypatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra provq[ray]")
    monkeypatch.setenv("PYTHONPATH", str(stand_ins.__file__.rsplit("/", 1)[0]))
    folder = write_pdb("a").parent
    for name in ("b", "exits", "y"):
        write_pdb(name)
    encode(folder, "here", load=stand_ins.naughty)
    encode(folder, "there", load=stand_ins.naughty, options=RunOptions(engine="ray"))
    assert state_of("there") == state_of("here")
