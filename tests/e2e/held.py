"""Holds the dubs of a worker open for as long as a test wants: what is in work stays in work until the test has seen it."""
import shutil
import struct

from ..support.paths import BUILD
from ..support.waiting import wait_for

LONG = 500  # milliseconds a frame: 75 frames last longer than a worker takes to its next heartbeat
BRIEF = 100  # the same: 25 frames last longer than a short grace, and those on their way end before a worker gives up waiting


class HeldDubs:
    """`environment` is what a worker must be started with. Until release(), its dubs stop at the first frame that they encode, or with
    hold(milliseconds) at each for that long, where they hear of a cancel or a drain between two frames."""

    def __init__(self, folder):
        library = folder / "held_dub.so"
        shutil.copy(BUILD / "tests/e2e/held_dub.so", library)
        self.path = folder / "held_dub.so.control"
        self.path.write_bytes(bytes(12))
        self.environment = {"LD_PRELOAD": str(library)}

    def set(self, held, milliseconds):
        with self.path.open("r+b") as control:
            control.write(struct.pack("=ii", held, milliseconds))

    def hold(self, milliseconds=0):
        self.set(1, milliseconds)
        return self

    def release(self):
        self.set(0, 0)

    def is_reached(self):
        return self.path.read_bytes()[8:] != bytes(4)

    def wait(self):
        """Until a dub is held."""
        wait_for(self.is_reached, "a dub in work")
