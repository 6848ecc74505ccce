import base64
import hashlib
import http.server
import threading

import pytest

CONTENT = b"a package" * 1000
RIGHT = "sha512-" + base64.b64encode(hashlib.sha512(CONTENT).digest()).decode()


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.path in ("/npm/@scope/thing/-/thing-1.0.tgz", "/npm/plain/-/plain-2.0.tgz")
        self.send_response(200 if found else 404)
        self.end_headers()
        if found:
            self.wfile.write(CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def registry(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/npm/")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(script, tmp_path, monkeypatch):
    fetch = script("fetch")

    def run(lock, group="base"):
        monkeypatch.setattr(fetch, "LOCK", tmp_path / "packages.lock")
        fetch.LOCK.write_text(lock, encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["fetch", group, str(tmp_path / "out")])
        fetch.main()
    run.fetch, run.out = fetch, tmp_path / "out"
    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fetches_a_group_once(registry, run):
    lock = f"# comment\nbase @scope/thing 1.0 {RIGHT}\nbase plain 2.0 {RIGHT} a/place\nbase plain 2.0 {RIGHT} b\n" \
           f"other x 1.0 {RIGHT}\n"
    run(lock)
    assert names(run.out) == ["plain-2.0.tgz", "scope-thing-1.0.tgz"]
    assert (run.out / "plain-2.0.tgz").read_bytes() == CONTENT
    run(lock)
    assert len(registry.asked) == 2


def test_damaged_file_is_fetched_again(registry, run):
    run(f"base plain 2.0 {RIGHT}\n")
    (run.out / "plain-2.0.tgz").write_bytes(b"damaged")
    run(f"base plain 2.0 {RIGHT}\n")
    assert (run.out / "plain-2.0.tgz").read_bytes() == CONTENT


def test_wrong_hash_leaves_nothing(registry, run):
    with pytest.raises(run.fetch.FetchError, match="plain 2.0 has the wrong hash"):
        run(f"base plain 2.0 sha512-{'A' * 86}==\n")
    assert names(run.out) == []


def test_missing_package_leaves_nothing_and_is_not_asked_for_again(registry, run):
    with pytest.raises(run.fetch.FetchError, match="could not download .*gone-1.0.tgz: .*404"):
        run(f"base gone 1.0 {RIGHT}\n")
    assert names(run.out) == [] and len(registry.asked) == 1


def test_unknown_group(run):
    with pytest.raises(run.fetch.FetchError, match="has no group 'test'"):
        run(f"base plain 2.0 {RIGHT}\n", group="test")


def test_every_pinned_package_has_a_version_and_a_hash(script):
    fetch = script("fetch")
    for line in fetch.LOCK.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            group, _, version, integrity, *place = line.split()
            assert version[0].isdigit() and integrity.startswith("sha512-")
            assert len(place) == (1 if group in ("s3rver", "deploy") else 0)
