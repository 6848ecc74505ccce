"""Speech from any file: 16 kHz mono samples, their length, and the mel spectrogram as Wav2Lip computes it."""

import numpy as np
import pytest

from .conftest import ToolError, ffmpeg, run, tool

RATE = 16000


def samples(path):
    return np.frombuffer(tool("audio", path, binary=True), np.float32)


def mel(path):
    return np.frombuffer(tool("mel", path, binary=True), np.float32).reshape(-1, 80)


def sound(folder, name, *arguments, source="sine=frequency=440:sample_rate=48000", seconds=2):
    ffmpeg("-f", "lavfi", "-i", source, "-t", seconds, *arguments, folder / name)
    return folder / name


@pytest.mark.parametrize("name,arguments", [
    ("a.wav", []), ("a.flac", []), ("a.mp3", ["-b:a", "128k"]), ("a.m4a", ["-c:a", "aac"]), ("a.opus", []), ("a.ogg", []),
    ("mono8k.wav", ["-ar", "8000", "-ac", "1"]), ("s44.wav", ["-ar", "44100", "-ac", "2"]), ("u8.wav", ["-c:a", "pcm_u8"]),
    ("surround.wav", ["-af", "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=0*c0|BL=0*c0|BR=0*c0"]),
    ("surround.m4a", ["-c:a", "aac", "-af", "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=0*c0|BL=0*c0|BR=0*c0"]),
])
def test_any_format_gives_the_same_tone(tmp_path, name, arguments):
    data = samples(sound(tmp_path, name, *arguments))
    assert abs(len(data) - 2 * RATE) <= (0.06 * RATE if name.endswith(("mp3", "ogg", "m4a")) else 20)
    spectrum = np.abs(np.fft.rfft(data[4000:4000 + RATE] * np.hanning(RATE)))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert 0.05 < np.abs(data).max() <= 1
    assert float(tool("length", tmp_path / name)) == pytest.approx(len(data) / RATE, abs=1e-6)


def test_loud_surround_does_not_clip(tmp_path):
    path = sound(tmp_path, "loud.wav", "-c:a", "pcm_f32le", "-af", "volume=8,pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0")
    assert 0.5 < np.abs(samples(path)).max() <= 1.01


def test_samples_are_those_of_ffmpeg(tmp_path):
    path = sound(tmp_path, "chirp.wav", "-ar", "44100", source="aevalsrc='0.5*sin(200*t*t*6)':s=44100")
    theirs = np.frombuffer(run("ffmpeg", "-v", "error", "-i", path, "-ar", RATE, "-ac", 1, "-f", "f32le", "-", binary=True),
                           np.float32)
    ours = samples(path)
    count = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= 20
    assert np.abs(ours[:count - 50] - theirs[:count - 50]).max() < 1e-3


def test_speech_out_of_a_film(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64", "-f", "lavfi", "-i", "sine=frequency=440", "-t", 2, "-c:v", "libx264",
           "-c:a", "aac", tmp_path / "film.mp4")
    assert abs(len(samples(tmp_path / "film.mp4")) - 2 * RATE) <= 1024 / 44100 * RATE  # to the end of an AAC frame


def test_wav_with_a_length_nobody_knew(tmp_path):
    """espeak-ng --stdout and pipes write an impossible length into the header."""
    path = sound(tmp_path, "a.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[data.find(b"data") + 4:data.find(b"data") + 8] = (0x7ffff000).to_bytes(4, "little")
    path.write_bytes(data)
    assert abs(len(samples(path)) - 2 * RATE) <= 20


def test_numbers_that_are_none(tmp_path):
    data = np.full(RATE, 0.25, np.float32)
    data[5000], data[6000] = np.nan, np.inf
    write_wav(tmp_path / "nan.wav", data)
    ours = samples(tmp_path / "nan.wav")
    assert np.isfinite(ours).all() and ours[4000] == 0.25
    assert np.isfinite(mel(tmp_path / "nan.wav")).all()


def test_eleven_channels(tmp_path):
    """More channels than any layout names: mixed, or refused with a reason, but no crash."""
    np.zeros((RATE, 11), np.float32).tofile(tmp_path / "many.raw")
    ffmpeg("-f", "f32le", "-ar", RATE, "-ac", 11, "-i", tmp_path / "many.raw", tmp_path / "many.wav")
    try:
        assert len(samples(tmp_path / "many.wav")) > 0.9 * RATE
    except ToolError as error:
        assert error.code == "media.unsupported"


# --- an independent mel spectrogram: audio.py of Wav2Lip with librosa 0.7's definitions, in numpy ---

def mel_scale(hz):
    hz = np.asarray(hz, float)
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) / (np.log(6.4) / 27))


def hz_scale(mels):
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((np.log(6.4) / 27) * (mels - 15)))


def reference_mel(data):
    emphasized = np.append(data[:1], data[1:] - 0.97 * data[:-1]).astype(np.float64)
    padded = np.pad(emphasized, 400, mode="reflect")
    columns = 1 + len(data) // 200
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)
    cuts = np.stack([padded[i * 200:i * 200 + 800] * window for i in range(columns)])
    naive = np.exp(-2j * np.pi * np.outer(np.arange(401), np.arange(800)) / 800)
    magnitude = np.abs(cuts @ naive.T)
    points = hz_scale(np.linspace(mel_scale(55), mel_scale(7600), 82))
    bins = np.arange(401) * 20.0
    rising = (bins - points[:-2, None]) / np.diff(points)[:-1, None]
    falling = (points[2:, None] - bins) / np.diff(points)[1:, None]
    bank = np.maximum(0, np.minimum(rising, falling)) * (2 / (points[2:] - points[:-2]))[:, None]
    decibels = 20 * np.log10(np.maximum(1e-5, magnitude @ bank.T)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4)


def write_wav(path, data):
    raw = path.with_suffix(".raw")
    np.asarray(data, np.float32).tofile(raw)
    ffmpeg("-f", "f32le", "-ar", RATE, "-ac", 1, "-i", raw, "-c:a", "pcm_f32le", path)


@pytest.mark.parametrize("length", [RATE, 2 * RATE + 77, 401, 799, 200, 30, 1])
def test_mel_is_that_of_wav2lip(tmp_path, length):
    random = np.random.default_rng(length)
    data = (random.standard_normal(length) * np.linspace(0.001, 0.5, length)).astype(np.float32)
    write_wav(tmp_path / "noise.wav", data)
    ours = mel(tmp_path / "noise.wav")
    theirs = reference_mel(data)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 2e-3
    assert np.isfinite(ours).all()


def test_mel_of_speech(deps):
    path = deps / "demo" / "hi.wav"
    if not path.exists():
        pytest.skip("no speech was made (script/setup does it)")
    assert np.abs(mel(path) - reference_mel(samples(path))).max() < 2e-3


def test_mel_of_silence_is_finite(tmp_path):
    ours = mel(sound(tmp_path, "silent.wav", source="anullsrc=sample_rate=16000", seconds=1))
    assert ours.shape == (81, 80) and (ours == -4).all()
