"""A server that a test starts: its output goes to a file, and it is there once it takes connections."""
import os
import socket
import subprocess
import time


class ServerProcess:
    def __init__(self, name, command, port, environment, log):
        self.name, self.port = name, port
        self.log = open(log, "wb")
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=self.log, stderr=subprocess.STDOUT)
        self.wait()

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
