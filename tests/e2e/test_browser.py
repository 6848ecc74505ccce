"""A finished dub in a real browser: it plays, with picture and sound."""
import functools
import http.server
import json
import queue
import shutil
import subprocess
import threading

from farm_process import stream

import pytest

PAGE = """<video muted autoplay src="dub.mp4"></video><script>
const video = document.querySelector("video");
const tell = what => fetch("/report", {method: "POST", body: JSON.stringify(what)});
video.onerror = () => tell({error: video.error.message});
video.ontimeupdate = () => video.currentTime > 0.5 && tell({
  width: video.videoWidth, height: video.videoHeight, duration: video.duration,
  sound: video.webkitAudioDecodedByteCount, frames: video.getVideoPlaybackQuality().totalVideoFrames});
</script>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments, reports, **keywords):
        self.reports = reports
        super().__init__(*arguments, **keywords)

    def do_POST(self):
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_dub_plays_in_a_browser(farm, clips, tmp_path):
    _, videos = farm.dub(clips / "talk.mp4", {"en": clips / "en.wav"})
    shutil.copy(videos["en"], tmp_path / "dub.mp4")
    (tmp_path / "page.html").write_text(PAGE)
    reports = queue.Queue()
    handler = functools.partial(Handler, directory=tmp_path, reports=reports)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
             "--remote-debugging-port=0", f"--user-data-dir={tmp_path / 'profile'}",
             f"http://127.0.0.1:{server.server_port}/page.html"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            report = reports.get(timeout=90)
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
    shown = stream(videos["en"], "video")
    assert (report.get("width"), report.get("height")) == (shown["width"], shown["height"]), report
    assert report["duration"] == pytest.approx(float(shown["duration"]), abs=0.05)
    assert report["sound"] > 0 and report["frames"] > 0
