import pytest

from .cli_farm import Farm, Mela


@pytest.fixture
def mela(tmp_path):
    return Mela(tmp_path)


@pytest.fixture
def make_farm(tmp_path):
    """Starts farms; whatever a test leaves running ends with it."""
    farms = []

    def make(*options, worker=None):
        farms.append(Farm(tmp_path, *options, worker=worker))
        return farms[-1].start()

    yield make
    for farm in farms:
        if farm.process.poll() is None:
            farm.stop()


@pytest.fixture
def farm(make_farm):
    """A farm without workers."""
    return make_farm("--workers", "0")
