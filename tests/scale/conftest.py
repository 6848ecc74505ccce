import pytest

from .scaler import Scaler


@pytest.fixture
def make_scaler(tmp_path):
    """A scaler that is not started yet; its Redis is."""
    scaler = Scaler(tmp_path)
    scaler.redis.start()
    yield scaler
    scaler.stop()


@pytest.fixture
def scaler(make_scaler):
    return make_scaler.start()
