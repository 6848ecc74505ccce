"""Wav2Lip's mel spectrogram in numpy: 16 kHz mono, pre-emphasis, 800/200 Hann STFT, 80 Slaney mels, decibels scaled to [-4,4]."""
import subprocess

import numpy as np

RATE, FFT, HOP = 16000, 800, 200


def _to_mel(hertz):
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1e-9) / 1000) * 27 / np.log(6.4))


def _to_hertz(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def filters():
    edges = _to_hertz(np.linspace(_to_mel(55.), _to_mel(7600.), 82))
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def mel(wave):
    """[80, 1 + samples/200]"""
    wave = np.append(wave[0], wave[1:] - 0.97 * wave[:-1])
    padded = np.pad(wave, FFT // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    pieces = np.stack([padded[i:i + FFT] * window for i in range(0, len(padded) - FFT + 1, HOP)])
    decibels = 20 * np.log10(np.maximum(1e-5, filters() @ np.abs(np.fft.rfft(pieces)).T)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).astype(np.float32)


def windows(spectrogram, fps, count):
    """[count,1,80,16]: the window of frame i starts at mel frame int(80 i / fps), the last ones are held."""
    starts = [min(int(80 * i / fps), spectrogram.shape[1] - 16) for i in range(count)]
    return np.stack([spectrogram[None, :, s:s + 16] for s in starts])


def speak(text, voice, path, speed=150):
    """Speech from espeak-ng as 16 kHz mono float samples."""
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text], check=True)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"],
                         check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, np.float32)


def energy(wave, fps, count):
    """Root mean square of each video frame's sound."""
    step = RATE / fps
    pieces = (wave[int(i * step):int((i + 1) * step)] for i in range(count))
    return np.array([np.sqrt(np.mean(p ** 2)) if len(p) else 0. for p in pieces])
