"""A finished dub in a real browser: it plays, with picture and sound."""
import shutil

import pytest

from .browser import TELL, show
from .farm_process import stream

PAGE = """<video muted autoplay src="dub.mp4"></video><script>%s
const video = document.querySelector("video");
video.onerror = () => tell({error: video.error.message});
video.ontimeupdate = () => video.currentTime > 0.5 && tell({
  width: video.videoWidth, height: video.videoHeight, duration: video.duration,
  sound: video.webkitAudioDecodedByteCount, frames: video.getVideoPlaybackQuality().totalVideoFrames});
</script>""" % TELL


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_dub_plays_in_a_browser(farm, clips, tmp_path):
    _, videos = farm.dub(clips / "talk.mp4", {"en": clips / "en.wav"})
    shutil.copy(videos["en"], tmp_path / "dub.mp4")
    (tmp_path / "page.html").write_text(PAGE)
    report, _ = show(tmp_path, "page.html")
    shown = stream(videos["en"], "video")
    assert (report.get("width"), report.get("height")) == (shown["width"], shown["height"]), report
    assert report["duration"] == pytest.approx(float(shown["duration"]), abs=0.05)
    assert report["sound"] > 0 and report["frames"] > 0
