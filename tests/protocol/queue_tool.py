"""queue_tool as an object: one command, one answer."""
import json
import subprocess

from ..support.paths import BUILD


class Tool:
    def __init__(self, url):
        self.process = subprocess.Popen([BUILD / "tests/protocol/queue_tool", url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def do(self, operation, **members):
        self.process.stdin.write(json.dumps({"do": operation, **members}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()
