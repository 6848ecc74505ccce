import pytest

from . import helm_chart


@pytest.fixture(scope="session", params=list(helm_chart.VARIANTS))
def objects(request):
    """The chart's objects, once for each profile and switch."""
    return helm_chart.variant(request.param)


@pytest.fixture(scope="session")
def default():
    return helm_chart.variant("default")
