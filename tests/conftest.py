"""What holds for a whole run of pytest: one folder for all its temporary files, the order of the tests, and nothing left behind."""
import os
import shutil
import tempfile

import pytest

from .support import leftovers

# These wait longest, so they start first: a long test that starts last keeps one worker busy while the others have nothing to do.
FIRST = ("tests/chaos/", "tests/e2e/", "tests/protocol/", "tests/deploy/test_images", "tests/deploy/test_terraform")


def is_worker(config):
    """Of pytest-xdist."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Programs and fixtures that ask for a temporary folder get one inside the run's, so that what they leave there is known to be
    this run's. The path is short, for sockets are made below it."""
    if is_worker(config):
        return
    os.environ[leftovers.MARK] = config.mela_run = tempfile.mkdtemp(prefix="mela-tests-")
    os.environ["TMPDIR"] = tempfile.tempdir = os.path.join(config.mela_run, "tmp")
    os.mkdir(tempfile.tempdir)
    if not config.option.basetemp:
        config.option.basetemp = os.path.join(config.mela_run, "p")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Long folders first; and with --dist loadgroup the tests that share a module's fixture go to one worker, which makes it once."""
    items.sort(key=lambda item: next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)))
    for item in items:
        fixtures = [definition for found in item._fixtureinfo.name2fixturedefs.values() for definition in found]
        if any(fixture.scope == "module" for fixture in fixtures):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__.rsplit(".", 1)[1]))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """The run fails if it leaves a process or a temporary file behind. After a failure the tests' own files stay, to be read."""
    config = session.config
    if is_worker(config):
        return
    left = leftovers.find(config.mela_run)
    if left:
        config.get_terminal_writer().line("\nleft behind:\n" + "\n".join(left), red=True)
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        shutil.rmtree(config.mela_run)
    else:
        config.get_terminal_writer().line(f"\nthe tests' files are in {config.mela_run}")
