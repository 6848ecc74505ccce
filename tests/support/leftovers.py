"""Finds what a run of the tests left behind: processes, and files in its temporary folder."""
import os
import pathlib

MARK = "TESTS_OF_MELA"  # in the environment: the folder of the run


def text_of(path):
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # it has ended, or is somebody else's
        return ""


def belongs_to(process, run):
    """By its environment, its command line or its working directory: some tests start programs with an environment of their own."""
    try:
        folder = os.readlink(process / "cwd")
    except OSError:
        return False
    return f"{MARK}={run}\0" in text_of(process / "environ") or run + "/" in text_of(process / "cmdline") or \
        (folder + "/").startswith(run + "/")


def family(pid):
    """A process and those that it descends from."""
    found = []
    while pid > 1:
        found.append(pid)
        pid = int(text_of(pathlib.Path(f"/proc/{pid}/stat")).rsplit(")", 1)[1].split()[1])
    return found


def processes(run):
    ours = family(os.getpid())
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        if int(process.name) not in ours and belongs_to(process, run):
            yield f"process {process.name}: {text_of(process / 'cmdline').replace(chr(0), ' ')}"


def find(run):
    """One line for each process and each file. The helpers of pytest-xdist have ended before this is asked."""
    return sorted(processes(run)) + sorted(f"file {path}" for path in pathlib.Path(run, "tmp").iterdir())
