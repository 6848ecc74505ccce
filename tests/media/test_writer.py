"""What is written keeps times, tags and pictures, and its segments join without a seam."""
import numpy as np
import pytest

from .conftest import X264, ToolError, ffmpeg, frames, probe, run, stream_of, tool
from .test_reader import HDR, make, scan, turned


def copied(path, folder, quality=20):
    tool("copy", path, folder / "copy.mp4", quality)
    return folder / "copy.mp4"


def dubbed(path, speech, folder, frames_a_segment):
    tool("dub", path, speech, folder / "dub.mp4", frames_a_segment)
    return folder / "dub.mp4"


def likeness(a, b):
    """PSNR of the luma of two films of the same size, frame by frame in order."""
    text = run("ffmpeg", "-v", "info", "-nostdin", "-i", a, "-i", b, "-lavfi",
               "[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]psnr=stats_file=-", "-f", "null", "-")
    return min(float(line.split("psnr_y:")[1].split()[0]) for line in text.splitlines() if "psnr_y:" in line)


@pytest.fixture
def speech(clips):
    return clips("speech.wav", source="sine=frequency=440:sample_rate=22050", seconds=5)


@pytest.mark.parametrize("name", ["plain.mp4", "ntsc.mp4", "vfr.mkv", "vfr.mp4", "hevc10.mp4", "edited.mp4",
                                  "interlaced.mp4", "yuv422.mov", "h264.ts", "xvid.avi"])
def test_copy_keeps_times_and_pictures(clips, tmp_path, name):
    path = make(clips, name)
    before, written = scan(path), copied(path, tmp_path, 12)
    after = scan(written)
    ticks = [pts * before["time_base_num"] for pts in before["pts"]]
    assert after["time_base_den"] == before["time_base_den"]
    assert after["pts"] == ticks
    assert probe(written, "-show_format")["format"]["start_time"] == "0.000000"
    if "vfr" not in name:
        assert after["end_pts"] == before["end_pts"] * before["time_base_num"]
    assert float(probe(written, "-show_format")["format"]["duration"]) == pytest.approx(
        before["end_pts"] * before["time_base_num"] / before["time_base_den"], abs=0.0011)
    assert after["pixel_format"] == before["pixel_format"]
    assert after["interlaced"] == before["interlaced"]
    if name not in ("interlaced.mp4",):
        assert likeness(path, written) > 36


@pytest.mark.parametrize("size", ["352x288", "360x288", "400x304", "640x360", "1280x720"])
def test_what_lies_in_memory_does_not_change_a_picture(tmp_path, monkeypatch, size):
    """Widths of 22, 23, 25, 40 and 80 macroblocks; the allocator fills what it gives with another byte each time."""
    path = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-t", 0.8, *X264, "-pix_fmt", "yuv420p", path)
    written = []
    for byte in (0, 1, 2, 128, 254):
        monkeypatch.setenv("MALLOC_PERTURB_", str(byte))
        written.append(copied(path, tmp_path).read_bytes())
    assert all(bytes == written[0] for bytes in written)


def test_tags_of_hdr(clips, tmp_path):
    path = tmp_path / "hdr.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-t", 1, "-c:v", "libx265", "-preset", "ultrafast",
           "-pix_fmt", "yuv420p10le", "-vf", f"{HDR}:range=tv", "-x265-params", "log-level=none:hdr10=1:chromaloc=2:master-display="
           "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400", path)
    written = copied(path, tmp_path)
    stream = stream_of(written)
    assert stream["profile"] == "High 10" and stream["pix_fmt"] == "yuv420p10le"
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"], stream["color_range"],
            stream["chroma_location"]) == ("bt2020", "smpte2084", "bt2020nc", "tv", "topleft")
    kinds = {data["side_data_type"]: data for data in stream["side_data_list"]}
    assert kinds["Mastering display metadata"]["max_luminance"] == "10000000/10000"
    assert kinds["Content light level metadata"]["max_content"] == 1000
    assert b"colr" in written.read_bytes()


@pytest.mark.parametrize("tags", [("bt709", "bt709", "bt709", "tv"), ("smpte170m", "smpte170m", "smpte170m", "pc")])
def test_tags_of_sdr(tmp_path, tags):
    primaries, transfer, space, color_range = tags
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-t", 1, "-vf", f"setsar=16/11,format=yuv420p,setparams="
           f"color_primaries={primaries}:color_trc={transfer}:colorspace={space}:range={color_range}", *X264,
           tmp_path / "in.mp4")
    stream = stream_of(copied(tmp_path / "in.mp4", tmp_path))
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"], stream["color_range"]) == tags
    assert stream["sample_aspect_ratio"] == "16:11"
    assert stream["profile"] == "High"


def test_full_range_of_phones(clips, tmp_path):
    path = clips("full.mkv", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", seconds=1)
    stream = stream_of(copied(path, tmp_path))
    assert stream["color_range"] == "pc" and stream["pix_fmt"] in ("yuv420p", "yuvj420p")
    assert likeness(path, tmp_path / "copy.mp4") > 34


@pytest.mark.parametrize("name,size", [("odd.webm", (162, 122)), ("odd.mp4", (161, 121))])
def test_odd_sizes(clips, tmp_path, name, size):
    written = copied(make(clips, name), tmp_path)
    stream = stream_of(written)
    assert (stream["width"], stream["height"]) == size
    ffmpeg("-i", written, "-vf", "crop=160:120:0:0", "-c:v", "ffv1", tmp_path / "a.mkv")
    ffmpeg("-i", make(clips, name), "-vf", "crop=160:120:0:0", "-c:v", "ffv1", tmp_path / "b.mkv")
    assert likeness(tmp_path / "a.mkv", tmp_path / "b.mkv") > 34


def test_rotated_film_is_written_upright(clips, tmp_path):
    flat = clips("flat.mp4", *X264, "-pix_fmt", "yuv420p")
    turned(flat, tmp_path / "turned.mp4", 90)
    stream = stream_of(copied(tmp_path / "turned.mp4", tmp_path))
    assert (stream["width"], stream["height"]) == (120, 160)
    assert not stream.get("side_data_list")
    assert likeness(tmp_path / "turned.mp4", tmp_path / "copy.mp4") > 34


def test_groups_of_pictures_are_short(clips, tmp_path):
    long = clips("long.mp4", *X264, source="color=gray:size=64x64:rate=10", seconds=9)
    slow = clips("slow.mkv", "-vf", "select='lt(n,40)+not(mod(n,8))'", "-fps_mode", "vfr", *X264,
                 source="testsrc2=size=64x64:rate=10", seconds=12)
    for path in (long, slow):
        written = copied(path, tmp_path)
        rows = probe(written, "-show_entries", "packet=pts_time,flags")["packets"]
        keys = [float(row["pts_time"]) for row in rows if "K" in row["flags"]]
        gaps = np.diff(keys + [float(max(rows, key=lambda row: float(row["pts_time"]))["pts_time"])])
        assert len(keys) > 3 and gaps.max() <= 2.0 + 0.8  # no frame may fall on the two seconds


@pytest.mark.parametrize("name,frames_a_segment", [("plain.mp4", 13), ("ntsc.mp4", 17), ("vfr.mkv", 9), ("vfr.mp4", 9),
                                                   ("hevc10.mp4", 20), ("xvid.avi", 11), ("plain.mp4", 1)])
def test_join(clips, tmp_path, speech, name, frames_a_segment):
    path = make(clips, name)
    before = scan(path)
    if len(before["pts"]) / frames_a_segment > 60:
        frames_a_segment = 1
    joined = dubbed(path, speech, tmp_path, frames_a_segment)
    after = scan(joined)
    assert after["pts"] == [pts * before["time_base_num"] for pts in before["pts"]]
    # The very pictures of the segments, in order.
    pieces = sorted(tmp_path.glob("dub.mp4.*.mp4"), key=lambda piece: int(piece.name.split(".")[2]))
    assert len(pieces) >= 3
    assert [row[3] for row in frames(joined)] == [row[3] for piece in pieces for row in frames(piece)]
    # Decoding times ascend, presentation never comes before decoding.
    packets = probe(joined, "-show_entries", "packet=pts,dts")["packets"]
    dts = [int(packet["dts"]) for packet in packets]
    assert all(a < b for a, b in zip(dts, dts[1:]))
    assert all(int(packet["dts"]) <= int(packet["pts"]) for packet in packets)
    # The whole file is sound, and strict decoders agree.
    assert run("ffmpeg", "-v", "warning", "-xerror", "-err_detect", "explode", "-i", joined, "-f", "null", "-") == ""
    assert joined.read_bytes().find(b"moov") < joined.read_bytes().find(b"mdat")
    end = before["end_pts"] * before["time_base_num"] / before["time_base_den"]
    sound, picture = stream_of(joined, "a:0"), stream_of(joined)
    assert float(picture["start_time"]) == float(sound["start_time"]) == 0
    assert float(sound["duration"]) == pytest.approx(end, abs=0.001)
    if "vfr" not in name:
        assert float(picture["duration"]) == pytest.approx(end, abs=0.001)


def heard(path):
    return np.frombuffer(run("ffmpeg", "-v", "error", "-i", path, "-ac", 1, "-ar", 48000, "-f", "f32le", "-", binary=True),
                         np.float32)


@pytest.mark.parametrize("seconds", [0.5, 5])
def test_speech_is_cut_or_padded(clips, tmp_path, seconds):
    speech = clips(f"speech{seconds}.wav", source="sine=frequency=440:sample_rate=22050", seconds=seconds)
    sound = heard(dubbed(make(clips, "plain.mp4"), speech, tmp_path, 20))
    assert abs(len(sound) - 2 * 48000) <= 1024
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    assert loud[0] < 200  # speech starts with the picture
    assert abs(loud[-1] - min(seconds, 2) * 48000) < 700


def test_sync_to_the_sample(clips, tmp_path):
    """A click at 1 s is heard at 1 s: the encoder's priming is edited out."""
    speech = clips("click.wav", "-c:a", "pcm_s16le", source="aevalsrc='if(eq(n,48000),1,0)':s=48000", seconds=2)
    sound = heard(dubbed(make(clips, "plain.mp4"), speech, tmp_path, 20))
    assert abs(int(np.abs(sound).argmax()) - 48000) <= 2


@pytest.mark.parametrize("layout,channels", [("mono", 1), ("stereo", 2), ("5.1", 2)])
def test_channels(clips, tmp_path, layout, channels):
    speech = clips(f"{layout}.wav", source=f"anoisesrc=amplitude=0.3,aformat=channel_layouts={layout}")
    stream = stream_of(dubbed(make(clips, "plain.mp4"), speech, tmp_path, 25), "a:0")
    assert (stream["channels"], stream["sample_rate"], stream["codec_name"]) == (channels, "48000", "aac")


def test_failed_join_leaves_nothing(clips, tmp_path):
    with pytest.raises(ToolError) as failed:
        dubbed(make(clips, "plain.mp4"), tmp_path / "none.wav", tmp_path, 25)
    assert failed.value.code == "media.not_found"
    assert not (tmp_path / "dub.mp4").exists()


def test_no_room_to_write(clips, tmp_path):
    with pytest.raises(ToolError) as failed:
        tool("copy", make(clips, "plain.mp4"), tmp_path / "no" / "copy.mp4", 20)
    assert failed.value.code == "io"
    (tmp_path / "full.mp4").symlink_to("/dev/full")  # what failed is removed: here the link
    with pytest.raises(ToolError) as failed:
        tool("copy", make(clips, "plain.mp4"), tmp_path / "full.mp4", 20)
    assert failed.value.code == "disk.full"
    assert not (tmp_path / "full.mp4").is_symlink()
