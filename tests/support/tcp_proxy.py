"""A TCP proxy that does harm: it cuts connections, lets them fall silent as if the peer had vanished, or stalls."""
import random
import socket
import struct
import threading
import time


class Link:
    """One connection and its way on."""

    def __init__(self, proxy, client, server):
        self.proxy, self.ends, self.silent = proxy, (client, server), False
        for source, sink in (self.ends, self.ends[::-1]):
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                if self.silent:
                    continue  # what is sent to the vanished is lost; nothing is closed
                self.proxy.meet(self)
                sink.sendall(data)
        except OSError:
            pass
        if not self.silent:
            self.cut()

    def cut(self):
        """Ends with a reset, as a crash does."""
        for end in self.ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class TcpProxy:
    """Listens on `port` and passes on to `target`, ("host", port) or a socket's path. With `harm_every`, one piece of data in
    so many meets a reset or a stall of up to `stall_s`."""

    def __init__(self, target, harm_every=0, stall_s=0.0, seed=None):
        self.target, self.harm_every, self.stall_s, self.random = target, harm_every, stall_s, random.Random(seed)
        self.links, self.accepted, self.refusing = [], 0, False
        self.done = {"resets": 0, "net_stalls": 0}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                if self.refusing:
                    raise OSError
                server = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
                server.connect(self.target)
                self.links.append(Link(self, client, server))
            except OSError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()

    def meet(self, link):
        """Now and then something happens to a piece of data."""
        if not self.harm_every or self.random.random() * self.harm_every >= 1:
            return
        if self.random.random() < 0.5:
            self.done["resets"] += 1
            link.cut()
        else:
            self.done["net_stalls"] += 1
            time.sleep(self.random.uniform(0, self.stall_s))

    def silence(self):
        """Whoever is connected hears nothing any more, not even an end; new connections work."""
        for link in self.links:
            link.silent = True

    def refuse(self, refusing=True):
        """Cuts all there are, and every new one, until told otherwise."""
        self.refusing = refusing
        for link in self.links if refusing else []:
            link.cut()

    def close(self):
        self.listener.close()
        for link in self.links:
            link.cut()
