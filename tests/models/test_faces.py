"""BlazeFace and Face Mesh on a real face, and the converted mesh against a plain numpy evaluation of its TFLite file."""
import tarfile

import numpy as np
import pytest
import tflite

from . import face
from . import layers

WIDTH, HEIGHT = 360, 288  # of the picture; the detector sees a square of its width, with bars above and below
TOP = (HEIGHT - WIDTH) / 2  # where that square begins

# Where the man's face is at 20 s, read off the picture: centre and size of BlazeFace's box (brows to chin).
CENTRE, SIZE, TOLERANCE = (196, 168), 146, 14


def mesh_input(franck, run, model):
    matrix = face.square(WIDTH / 2, HEIGHT / 2, WIDTH, 128)
    found = run(model("blazeface-128"), input=face.crop(franck[0], matrix, 128).transpose(2, 0, 1)[None] * 2 - 1)
    _, x, y, w, h, keypoints = face.best_face(found["boxes"][0], found["scores"][0], 128)
    right, left = keypoints[:2] * WIDTH
    angle = np.arctan2(left[1] - right[1], left[0] - right[0])
    return face.crop(franck[0], face.square(x * WIDTH, y * WIDTH + TOP, 1.5 * max(w, h) * WIDTH, 192, angle), 192)


@pytest.mark.parametrize("size", [128, 256])
def test_blazeface_finds_the_face(size, franck, run, model):
    picture = face.crop(franck[0], face.square(WIDTH / 2, HEIGHT / 2, WIDTH, size), size).transpose(2, 0, 1)
    empty = np.full_like(picture, 0.5)
    found = run(model(f"blazeface-{size}"), input=np.stack([picture, empty]) * 2 - 1)
    assert found["boxes"].shape == (2, 896, 16) and found["scores"].shape == (2, 896, 1)
    score, x, y, w, h, keypoints = face.best_face(found["boxes"][0], found["scores"][0], size)
    assert score > 0.85
    assert np.allclose((x * WIDTH, y * WIDTH + TOP), CENTRE, atol=TOLERANCE)
    assert np.allclose((w * WIDTH, h * WIDTH), SIZE, atol=TOLERANCE)
    right_eye, left_eye, nose, mouth = keypoints[:4]
    assert right_eye[0] < nose[0] < left_eye[0] and max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]
    assert face.best_face(found["boxes"][1], found["scores"][1], size)[0] < 0.3


def test_mesh_equals_numpy_evaluation(downloads, franck, run, model):
    package = downloads / "mediapipe-face_mesh-0.4.1657299874.tgz"
    with tarfile.open(package) as tar:
        data = tar.extractfile("package/face_mesh_solution_packed_assets.data").read()[2495952:3737848]
    picture = mesh_input(franck, run, model)
    landmarks, logit = layers.tflite(tflite.read(data), picture[None][0])
    found = run(model("face-mesh"), input=picture.transpose(2, 0, 1)[None])
    assert np.abs(found["landmarks"][0].reshape(-1) - landmarks.reshape(-1)).max() < 0.01  # pixels of 192
    assert np.isclose(found["presence"][0], 1 / (1 + np.exp(-logit.item())), atol=1e-5)


def test_mesh_knows_a_face_from_noise(franck, run, model):
    picture = mesh_input(franck, run, model).transpose(2, 0, 1)
    noise = np.random.default_rng(1).random((3, 192, 192), np.float32)
    found = run(model("face-mesh"), input=np.stack([picture, noise, picture]))
    assert found["presence"][0] > 0.99 and found["presence"][1] < 0.1
    assert np.allclose(found["landmarks"][0], found["landmarks"][2], atol=1e-3)
    p = found["landmarks"][0]
    assert p.shape == (468, 3)
    eyes, mouth = (p[33] + p[263]) / 2, (p[61] + p[291]) / 2
    assert p[33, 0] < eyes[0] < p[263, 0] and abs(p[33, 1] - p[263, 1]) < 6  # the crop is level
    assert p[10, 1] < eyes[1] < p[1, 1] < mouth[1] < p[152, 1]
    assert 50 < eyes[1] < 80 and 110 < mouth[1] < 140
    assert p[1, 2] < p[33, 2]  # the nose is nearer than the eye
    assert face.opening(p) < 0.03  # his mouth is closed


def test_mesh_range_is_zero_to_one(franck, run, model):
    """The same face through shifted crops gives the same landmarks best with the range the contract names."""
    random = np.random.default_rng(2)
    matrices = [face.square(*(np.array(CENTRE) + random.normal(0, 6, 2)), 220 * random.uniform(.9, 1.1), 192, random.normal(0, .08))
                for _ in range(16)]
    crops = np.stack([face.crop(franck[0], m, 192).transpose(2, 0, 1) for m in matrices])

    def spread(values):
        marks = run(model("face-mesh"), input=values)["landmarks"][..., :2]
        return np.stack([p @ m[:, :2].T + m[:, 2] for p, m in zip(marks, matrices)]).std(0).mean()

    assert spread(crops) < spread(crops * 2 - 1)
    assert spread(crops) < 1.5
