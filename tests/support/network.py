"""Ports and addresses."""
import random
import socket


def free_port(address="127.0.0.1"):
    """A port that nobody had a moment ago, for programs that cannot choose one themselves. It lies below those that the kernel
    gives to outgoing connections, or one of these could have it by the time the program starts."""
    first = int(open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii").read().split()[0])
    while True:
        port = random.randrange(min(first, 32768) // 2, min(first, 32768))
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
