"""rediss://: real TLS where the installed hiredis has it, else one clear error."""
import json
import subprocess

import pytest

from ..support.network import free_port
from ..support.paths import BUILD
from ..support.waiting import wait_for


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_authority(folder, name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
            "-out", folder / f"{name}.pem", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign")
    return folder / f"{name}.pem"


def make_certificate(folder, authority, host):
    """For `host` only, such as DNS:localhost."""
    (folder / "extensions").write_text(f"subjectAltName={host}\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis", "-keyout", folder / "redis.key", "-out", folder / "redis.csr")
    openssl("x509", "-req", "-in", folder / "redis.csr", "-CA", authority, "-CAkey", authority.with_suffix(".key"), "-CAcreateserial",
            "-days", "2", "-extfile", folder / "extensions", "-out", folder / "redis.pem")


def stats(url):
    """The error of a first call, or None."""
    done = subprocess.run([BUILD / "mela", "queue", "stats", "--json", "--redis", url], capture_output=True, text=True, timeout=60)
    return json.loads(done.stderr)["error"] if done.returncode else None


@pytest.fixture
def redis(tmp_path):
    """A redis-server that speaks TLS only, as localhost; its port."""
    error = stats("rediss://localhost:1")
    if "has none" in error["message"]:
        assert error["code"] == "queue.config" and "rediss:// needs a hiredis with TLS" in error["message"]
        pytest.skip("the installed hiredis has no TLS: the one clear error was seen")
    make_certificate(tmp_path, make_authority(tmp_path, "authority"), "DNS:localhost")
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--tls-port", str(port), "--tls-cert-file", tmp_path / "redis.pem", "--tls-key-file",
         tmp_path / "redis.key", "--tls-auth-clients", "no", "--dir", tmp_path, "--save", "", "--logfile", "redis.log"])
    wait_for(lambda: process.poll() is not None or "Ready to accept" in (tmp_path / "redis.log").read_text()
             if (tmp_path / "redis.log").exists() else False, "Redis")
    if process.poll() is not None:
        pytest.skip("this redis-server has no TLS")
    yield port
    process.kill()
    process.wait()


def test_a_certificate_is_checked(redis, tmp_path, monkeypatch):
    authority = tmp_path / "authority.pem"
    assert stats(f"rediss://localhost:{redis}?ca={authority}") is None
    assert stats(f"rediss://localhost:{redis}/3?ca={authority}") is None
    for url, why in ((f"rediss://localhost:{redis}", "certificate"),  # an authority that the system does not know
                     (f"rediss://localhost:{redis}?ca={make_authority(tmp_path, 'other')}", "certificate"),
                     (f"rediss://127.0.0.1:{redis}?ca={authority}", "certificate"),  # another host
                     (f"rediss://localhost:{redis}?ca={tmp_path / 'none.pem'}", "none.pem")):
        error = stats(url)
        assert error["code"] == "queue.config" and why in error["message"], (url, error)
    assert stats(f"redis://localhost:{redis}")["code"] == "queue.unavailable"  # no TLS, where there must be
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))  # now the system's
    assert stats(f"rediss://localhost:{redis}") is None
