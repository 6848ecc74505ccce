"""Holds the dubs of a worker open for as long as a test wants: what is in work stays in work until the test has seen it."""
from ..support.paths import BUILD
from ..support.waiting import wait_for

LONG = 500  # milliseconds a frame: 75 frames last longer than a worker takes to its next heartbeat
BRIEF = 100  # the same: 25 frames last longer than a short grace, and those on their way end before a worker gives up waiting


class HeldDubs:
    """`environment` is what a worker must be started with. Until release(), its dubs stop at the first frame that they encode, or with
    hold(milliseconds) at each for that long, where they hear of a cancel or a drain between two frames."""

    def __init__(self, folder):
        self.path = folder / "held-dub"
        self.environment = {"LD_PRELOAD": str(BUILD / "tests/e2e/held_dub.so"), "HELD_DUB": str(self.path)}

    def hold(self, milliseconds=0):
        self.path.write_text(str(milliseconds))
        return self

    def release(self):
        self.path.unlink()

    def wait(self):
        """Until a dub is held."""
        wait_for(self.path.with_name(self.path.name + ".reached").exists, "a dub in work")
