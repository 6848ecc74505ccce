"""Ports and addresses."""
import os
import random
import socket

RUNS = 16  # tests that run side by side, each with ports of its own
GIVEN = set()


def free_port(address="127.0.0.1"):
    """A port that nobody had a moment ago, for programs that cannot choose one themselves. It lies below those that the kernel
    gives to outgoing connections, or one of these could have it by the time the program starts. And it is given once only, to one of
    the tests that run side by side: a server starts in a second or two, and a test that asks for its port meanwhile would believe that
    the other's server is its own."""
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % RUNS
    first = int(open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii").read().split()[0])
    while True:
        port = random.randrange(min(first, 32768) // 2, min(first, 32768) - RUNS) // RUNS * RUNS + mine
        if port in GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                GIVEN.add(port)
                return port
            except OSError:
                continue
