"""lips-basic on real faces, judged by Face Mesh: silence closes, speech opens, the original mouth hardly matters."""
import json

import lips_basic
import numpy as np
import pytest

from ..support.paths import ROOT
from . import face
from . import mel

CONTRACT = json.loads((ROOT / "models/lips-basic.json").read_text())["contract"]
SIZE = 96
TEXT = ("Hello, today we are going to tell you a very good story. It is about a small village, where people lived together. "
        "Every year in autumn all of them would light lamps in their homes and share sweets.")


def track(run, model, frames, centre, side):
    """Landmarks [N,468,2] of one face whose place is roughly known, in pixels of the frames."""
    detected = run(model("blazeface-128"), input=np.stack(
        [face.crop(f, face.square(*centre, side, 128), 128).transpose(2, 0, 1) for f in frames]) * 2 - 1)
    matrices = []
    for boxes, scores in zip(detected["boxes"], detected["scores"]):
        _, x, y, w, h, keypoints = face.best_face(boxes, scores, 128)
        across = keypoints[1] - keypoints[0]
        corner = np.array(centre) - side / 2
        matrices.append(face.square(*(np.array([x, y]) * side + corner), 1.5 * max(w, h) * side, 192, np.arctan2(across[1], across[0])))
    crops = np.stack([face.crop(f, m, 192).transpose(2, 0, 1) for f, m in zip(frames, matrices)])
    found = run(model("face-mesh"), input=crops)["landmarks"][..., :2]
    return np.stack([p @ m[:, :2].T + m[:, 2] for p, m in zip(found, matrices)])


def crop_matrix(landmarks):
    """Crop pixels to frame pixels, as the manifest's contract says."""
    rule = CONTRACT["crop"]
    upright = np.array([rule["aspect"], 1]) * SIZE
    points = [landmarks[[33, 133]].mean(0), landmarks[[362, 263]].mean(0), landmarks[1], landmarks[61], landmarks[291]]
    matrix = face.similarity(np.array(rule["points"]) * upright, points)
    return matrix * [rule["aspect"], 1, 1]


def lips(run, model, crops, windows):
    reference = crops[..., ::-1].transpose(0, 3, 1, 2)
    masked = reference.copy()
    masked[:, :, SIZE // 2:] = 0
    out = run(model("lips-basic"), mel_spectrogram=windows, video_frames=np.concatenate([masked, reference], 1))
    return out["predicted_frames"].transpose(0, 2, 3, 1)[..., ::-1]


def paste(frames, crops, matrices):
    """The crops back in their frames, with a soft border."""
    y, x = np.mgrid[0:frames.shape[1], 0:frames.shape[2]] + .5
    result = frames.copy()
    for target, crop, m in zip(result, crops, matrices):
        u, v = np.einsum("ij,jhw->ihw", np.linalg.inv(m[:, :2]), np.stack([x - m[0, 2], y - m[1, 2]]))
        weight = np.clip(np.minimum.reduce([u - 3, SIZE - 3 - u, v - 45, SIZE - v]) / 4, 0, 1)[..., None]
        target[:] = target * (1 - weight) + face.sample(crop, u, v) * weight
    return result


class Clip:
    def __init__(self, run, model, path, size, start, seconds):
        self.run, self.model = run, model
        self.where = ((size[0] / 2, size[1] / 2), max(size))
        self.frames = face.frames(path, *size, start, seconds)
        landmarks = track(run, model, self.frames, *self.where)
        self.opening = face.opening(landmarks)
        self.matrices = [crop_matrix(p) for p in landmarks]
        self.crops = np.stack([face.crop(f, m, SIZE) for f, m in zip(self.frames, self.matrices)])

    def dubbed_opening(self, windows):
        """What a stranger measures on the finished picture."""
        dubbed = paste(self.frames, lips(self.run, self.model, self.crops, windows), self.matrices)
        return face.opening(track(self.run, self.model, dubbed, *self.where))


def silence(count):
    return np.full((count, 1, 80, 16), -4, np.float32)


@pytest.fixture(scope="module")
def talking(run, model, media):
    """A man who opens his mouth wide, 10 s."""
    return Clip(run, model, media / "cap13_edit2.mp4", (400, 300), 12, 10)


@pytest.fixture(scope="module")
def calm(run, model, media):
    return Clip(run, model, media / "franck.mp4", (360, 288), 20, 10)


def test_manifest_and_network_agree_on_the_crop():
    assert CONTRACT["crop"]["aspect"] == lips_basic.ASPECT
    assert np.array_equal(CONTRACT["crop"]["points"], lips_basic.POINTS)
    assert CONTRACT["mel_frame_of_video_frame"] == lips_basic.MEL_CENTRE


def test_silence_closes_an_open_mouth(talking):
    open_frames = talking.opening > 0.06
    assert open_frames.sum() > 5
    closed = talking.dubbed_opening(silence(len(talking.crops)))
    assert closed[open_frames].mean() < 0.3 * talking.opening[open_frames].mean()
    assert closed.mean() < 0.015


def test_loud_speech_opens(calm):
    loud = silence(len(calm.crops[:24]))
    loud[:, :, :60] = 1.5
    clip = Clip.__new__(Clip)
    clip.__dict__.update(calm.__dict__, frames=calm.frames[:24], crops=calm.crops[:24])
    assert clip.dubbed_opening(loud).min() > 0.06
    assert clip.opening.max() < 0.04


@pytest.mark.parametrize("name, fps", [("calm", 24), ("talking", 25)])
def test_opening_follows_the_speech_and_not_the_original(name, fps, request, tmp_path):
    clip = request.getfixturevalue(name)
    wave, count = mel.speak(TEXT, "en", tmp_path / "en.wav"), len(clip.crops)
    measured = clip.dubbed_opening(mel.windows(mel.mel(wave), fps, count))
    energy = mel.energy(wave, fps, count)

    def correlation(lag):
        return np.corrcoef(measured[max(0, lag):count + min(0, lag)], energy[max(0, -lag):count + min(0, -lag)])[0, 1]

    assert max(correlation(lag) for lag in range(-2, 3)) > 0.65
    assert abs(np.corrcoef(measured, clip.opening)[0, 1]) < 0.25


def test_width_follows_the_bands(calm, run, model):
    """A hiss spreads the lips, a hum draws them together: seen by how pixels beside the mouth move."""
    crops, hiss, hum = calm.crops[:1], silence(1), silence(1)
    hiss[:, :, 48:], hum[:, :, 4:22] = 1, 1
    hiss[:, :, 6:12] = hum[:, :, 6:12] = 0  # some voice, so that neither is silence
    wide, narrow = (lips(run, model, crops, m)[0] for m in (hiss, hum))
    assert np.abs(wide - narrow)[58:72, 25:70].mean() > 0.005


def test_pixels_away_from_the_mouth_are_the_reference_exactly(talking, run, model):
    windows = silence(len(talking.crops))
    windows[:, :, 5:40] = np.random.default_rng(4).uniform(-2, 2, windows[:, :, 5:40].shape)
    out = lips(run, model, talking.crops, windows)
    assert np.array_equal(out[:, :52], talking.crops[:, :52])
    assert np.array_equal(out[:, :, :8], talking.crops[:, :, :8]) and np.array_equal(out[:, :, 88:], talking.crops[:, :, 88:])
    # no seam: at the edge of what may move, output and reference agree
    for edge in (np.s_[:, 52:53], np.s_[:, :, 8:10], np.s_[:, :, 86:88], np.s_[:, 95:]):
        assert np.abs(out[edge] - talking.crops[edge]).max() < 0.04
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("colour", [0., 1., 0.5])
def test_a_flat_reference_gives_finite_pixels(colour, run, model):
    crops = np.full((1, SIZE, SIZE, 3), colour, np.float32)
    for windows in (silence(1), -silence(1)):
        out = lips(run, model, crops, windows)
        assert np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1
