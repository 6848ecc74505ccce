import os
import subprocess

import pytest

from ..support import s3_servers
from ..support.paths import BUILD


class Result:
    def __init__(self, done):
        self.code, self.out = done.returncode, done.stdout
        lines = done.stderr.decode().splitlines()
        self.error = next((line for line in lines if not line.startswith("totals:")), "")
        totals = next((line for line in lines if line.startswith("totals:")), "totals: ")
        self.totals = {name: int(number) for name, number in
                       (pair.split(" ") for pair in totals[len("totals: "):].split(", ") if pair)}


class Tool:
    """Runs store_tool with these AWS settings and none of the machine's own."""

    def __init__(self, endpoint, keys=None, home="/nonexistent", **environment):
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("AWS_", "MELA_")) and not name.lower().endswith("_proxy")}
        self.environment |= {"HOME": str(home), "MELA_S3_ENDPOINT": f"http://{endpoint}",
                             "AWS_EC2_METADATA_DISABLED": "true"}
        if keys:
            self.environment |= {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
        self.environment |= environment

    def start(self, url, *arguments):
        return subprocess.Popen([BUILD / "tests/store/store_tool", url, *map(str, arguments)], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, url, *arguments):
        process = self.start(url, *arguments)
        out, err = process.communicate(timeout=120)
        return Result(subprocess.CompletedProcess([], process.returncode, out, err))

    def ok(self, url, *arguments):
        result = self.run(url, *arguments)
        assert result.code == 0, result.error
        return result

    def fails(self, code, url, *arguments):
        result = self.run(url, *arguments)
        assert result.code == 1 and result.error.startswith(f"{code}: "), (result.code, result.error)
        return result


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = s3_servers.start_or_skip(tmp_path_factory.mktemp("s3"))
    yield running
    running.stop()


@pytest.fixture
def shows(server):
    """Skips, by name, what the server at hand cannot show."""
    def need(what):
        if what in server.lacks:
            pytest.skip(f"{server.name} cannot show: {what}")
    return need


@pytest.fixture
def proxy(server):
    running = s3_servers.Proxy(server.address)
    yield running
    running.stop()


@pytest.fixture
def tool(server):
    return Tool(server.address, server.keys)


@pytest.fixture
def harmed(server, proxy):
    """The tool, going through the proxy."""
    return Tool(proxy.address, server.keys)
