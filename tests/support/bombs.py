"""Small files that would cost a farm dearly: each names the code that reading it ends in, and a word of the message."""
import struct
import subprocess
import zlib

FILMS, SPEECHES = {}, {}


def bomb(name, code="media.limit", word="", bombs=FILMS):
    """Registers what makes the file `name`: a function of its path, which may write it or return its bytes."""
    def register(make):
        bombs[name] = (make, code, word)
        return make
    return register


def speech(name, word):
    return bomb(name, "media.limit", word, SPEECHES)


def build(name, folder):
    """Makes the bomb in the folder; answers (path, code, word)."""
    make, code, word = {**FILMS, **SPEECHES}[name]
    path = folder / name
    data = make(path)
    if data is not None:
        path.write_bytes(data)
    return path, code, word


def ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def picture(size="64x64", seconds=1, rate=25):
    return ["-f", "lavfi", "-i", f"color=size={size}:rate={rate}:duration={seconds}"]


# ---- the size of a picture ----

@bomb("pixels.y4m", word="150000000 pixels a picture")
def _(path):
    return b"YUV4MPEG2 W15000 H10000 F25:1 C420jpeg\nFRAME\n" + bytes(100)


@bomb("screen.gif", word="65535 pixels")
def _(path):
    """One pixel on a screen of four billion."""
    return (b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6) + b"," + struct.pack("<HHHH", 0, 0, 1, 1)
            + b"\0\x02\x02\x44\x01\0;")


def png_of(width, height):
    """Black, one bit a pixel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compress(bytes((width // 8 + 1) * height), 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) + chunk(b"IDAT", rows)
            + chunk(b"IEND", b""))


@bomb("picture.apng", word="196000000 pixels")
def _(path):
    png = png_of(14000, 14000)
    control = b"acTL" + struct.pack(">II", 1, 0)
    frame = b"fcTL" + struct.pack(">IIIIIHHBB", 0, 14000, 14000, 0, 0, 1, 25, 0, 0)
    at = png.index(b"IDAT") - 4
    chunks = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (control, frame))
    return png[:at] + chunks + png[at:]


def packed(suffix):
    @bomb(f"picture.{suffix}", word="196000000 pixels")
    def _(path):
        """A PNG in a container that says that it is small."""
        small, large = path.with_suffix(".small.png"), png_of(14000, 14000)
        ffmpeg(*picture(), "-frames:v", 1, "-pix_fmt", "monob", small)
        held = path.with_suffix(".held.png")
        held.write_bytes(large)
        ffmpeg("-f", "image2", "-c:v", "png", "-i", held, "-c", "copy", path)
        small.unlink()
        held.unlink()


for container in ("mkv", "mov", "avi", "nut"):
    packed(container)


def coded(suffix):
    @bomb(f"coded.{suffix}", word="pixels")
    def _(path):
        ffmpeg(*picture("12000x3200", 0.04), "-c:v", "libx264", "-preset", "ultrafast", path)


for container in ("h264", "ts", "mp4"):
    coded(container)


# ---- streams, atoms ----

def ebml(number, data):
    return bytes.fromhex(number) + struct.pack(">Q", len(data) | 1 << 56) + data


@bomb("streams.mkv", word="256 streams")
def _(path):
    def track(i):
        return ebml("AE", ebml("D7", struct.pack(">I", i + 1)) + ebml("73C5", struct.pack(">I", i + 1)) + ebml("83", b"\x01")
                    + ebml("86", b"V_VP8") + ebml("E0", ebml("B0", b"\x10") + ebml("BA", b"\x10")))
    head = ebml("1A45DFA3", ebml("4282", b"webm"))
    return head + ebml("18538067", ebml("1654AE6B", b"".join(map(track, range(65535)))) + ebml("1F43B675", ebml("E7", b"\0") + ebml("A3", b"\x81\0\0\x80" + bytes(20))))


@bomb("atoms.mp4", "media.corrupt")
def _(path):
    boxes, depth = b"", 20000
    for _ in range(depth):
        boxes = struct.pack(">I", len(boxes) + 8) + b"moov" + boxes if len(boxes) < 160000 else boxes
    return struct.pack(">I", 16) + b"ftypisom" + bytes(4) + boxes


# ---- time ----

def timed(name, word, times, *options, code="media.limit", frames=4):
    @bomb(name, code, word)
    def _(path):
        """The time of frame N in ticks of the coded film; -copyts keeps what no film has."""
        ffmpeg("-copyts", *picture(seconds=frames / 25), *(options or ["-c:v", "mpeg4"]), "-bsf:v", f"setts=pts={times}:dts={times}", path)


timed("hours.mkv", "seconds from one frame to the next", "if(gt(N\\,1)\\,7200000+N\\,N*40)")
timed("years.mkv", "seconds; the limit is 86400", "if(gt(N\\,1)\\,1e11+N\\,N*40)")
timed("far.nut", "seconds; the limit is 86400", "N*36028797018963968")
timed("days.mkv", "seconds", "N*1800000", frames=60)


def stamped(name, code, word, *times):
    @bomb(name, code, word)
    def _(path):
        """IVF holds 64 bits of each time."""
        ffmpeg(*picture(seconds=len(times) / 25), "-c:v", "libvpx", "-auto-alt-ref", 0, path)
        data, at = bytearray(path.read_bytes()), 32
        for time in times:
            data[at + 4:at + 12] = struct.pack("<q", time)
            at += 12 + struct.unpack_from("<I", data, at)[0]
        return bytes(data)


stamped("latest.ivf", "media.corrupt", "timestamp", *((1 << 63) - (1 << 50) + i for i in range(4)))
stamped("earliest.ivf", "media.corrupt", "timestamp", *(-(1 << 63) + 1 + i for i in range(4)))
stamped("both.ivf", "media.corrupt", "timestamp", -(1 << 63) + 1, -1, 1, (1 << 63) - 1)
stamped("apart.ivf", "media.limit", "seconds", 0, 1 << 55)


@bomb("rate.avi", word="1000000 frames a second")
def _(path):
    ffmpeg(*picture(), "-c:v", "mjpeg", path)
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8
    data[at + 20:at + 28] = struct.pack("<II", 1, 1000000)  # of the header: so many frames a second
    return bytes(data)


timed("burst.mov", "1001 frames a second", "if(lt(N\\,1100)\\,N\\,1100+(N-1100)*1000)", "-c:v", "mpeg4", "-r", "2000",
      "-video_track_timescale", "2000", frames=30)


@bomb("untimed.h264", word="seconds without a timestamp")
def _(path):
    """A raw stream of a frame a second; what has timestamps may be longer."""
    ffmpeg(*picture(seconds=620, rate=1), "-c:v", "libx264", "-preset", "ultrafast", path)


# ---- sound ----

def wav(rate, samples, data):
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
            + b"data" + struct.pack("<I", len(data)) + data)


@speech("slow.wav", "seconds")
def _(path):
    """A megabyte that says that it lasts twelve days."""
    return wav(1, 8, bytes(1 << 20))


@speech("packet.wav", "seconds of sound in one packet")
def _(path):
    return wav(1, 8, bytes(20000))


@speech("fast.wav", "samples of sound a second")
def _(path):
    return wav(2000000000, 8, bytes(10000))


def crc(data, polynomial, bits):
    """As FLAC has them: the highest bit first, from 0."""
    value, top = 0, 1 << (bits - 1)
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & ((1 << bits) - 1)
    return struct.pack(">I", value)[4 - bits // 8:]


def flac(hours):
    """Silence of 1000 samples a second; each packet is 32768 equal samples in 14 bytes."""
    count = hours * 3600 * 1000 // 32768 + 1
    rate, channels, bits = 1000, 1, 8
    info = struct.pack(">HH", 32768, 32768) + bytes(6)
    info += struct.pack(">Q", rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | count * 32768) + bytes(16)
    frames = []
    for i in range(count):
        head = b"\xff\xf8\xfc\0" + chr(i).encode() + b"\1"
        head += crc(head, 0x07, 8)
        frames.append(head + b"\0\0" + crc(head + b"\0\0", 0x8005, 16))
    return b"fLaC" + b"\x80" + struct.pack(">I", len(info))[1:] + info + b"".join(frames)


@speech("silence.flac", "seconds; the limit is 86400")
def _(path):
    """40 KB of 25 hours."""
    return flac(25)
