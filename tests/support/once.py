"""What is expensive to make is made once a run, though each worker of pytest-xdist has its own session."""
import fcntl
import os


def make_once(tmp_path_factory, name, make):
    """The folder `name`, filled by make(folder) in whichever worker asks first; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with open(base / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / name).exists():
            unfinished = base / f"{name}.{os.getpid()}"
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(base / name)
    return base / name
