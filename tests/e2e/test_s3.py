"""The same journey with everything in S3: a real S3 server, the master and the speech in a bucket of their own."""
import pytest

from ..support import s3_servers
from .farm_process import Farm, frame_count


@pytest.fixture
def s3(tmp_path, monkeypatch):
    server = s3_servers.start_or_skip(tmp_path)
    monkeypatch.setenv("MELA_S3_ENDPOINT", f"http://{server.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.keys[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.keys[1])
    yield server
    server.stop()


def test_files_and_farm_in_s3(s3, tmp_path, clips):
    # s3rver has no conditional create: there a plan, a spec and a receipt are simply written.
    for name in ("talk.mp4", "en.wav"):
        s3.request("PUT", f"/other/in/{name}", (clips / name).read_bytes(),
                   {"Content-Type": "application/octet-stream"})
    farm = Farm(tmp_path / "farm", "--store", "s3://bucket/mela").start()
    try:
        _, videos = farm.dub("s3://other/in/talk.mp4", {"en": "s3://other/in/en.wav"}, "--segment-seconds", "1")
        assert frame_count(videos["en"]) == frame_count(clips / "talk.mp4")
        assert not (farm.data / "store").exists()
        done = farm.run("submit", "--video", "s3://other/in/no-such.mp4", "--dub", "en=s3://other/in/en.wav", check=False)
        assert done.returncode == 2 and "no-such.mp4" in done.stderr, done.stderr
    finally:
        farm.stop()
