"""What the tests need to look at faces: frames of a video, crops, and decoders of the detector's and mesh's outputs."""
import subprocess

import numpy as np


def frames(path, width, height, start, seconds):
    """RGB float [N,H,W,3] in [0,1]."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-ss", str(start), "-t", str(seconds), "-i", path,
                          "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3).astype(np.float32) / 255


def sample(image, x, y):
    """Bilinear, zero outside. Pixel centres are at integers plus a half."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    x, y = np.clip(x + .5, 0, image.shape[1] + .999), np.clip(y + .5, 0, image.shape[0] + .999)
    x0, y0 = x.astype(int), y.astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    return ((padded[y0, x0] * (1 - fx) + padded[y0, x0 + 1] * fx) * (1 - fy) +
            (padded[y0 + 1, x0] * (1 - fx) + padded[y0 + 1, x0 + 1] * fx) * fy).astype(np.float32)


def crop(image, matrix, size):
    """The size x size picture whose pixel (u,v) is the image at matrix @ (u,v,1)."""
    v, u = np.mgrid[0:size, 0:size] + .5
    x, y = np.einsum("ij,jhw->ihw", matrix, np.stack([u, v, np.ones_like(u)]))
    return sample(image, x, y)


def square(cx, cy, side, size, angle=0.):
    """Matrix of a turned square of the image."""
    s = side / size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.hstack([s, np.array([[cx], [cy]]) - s @ [[size / 2], [size / 2]]])


def similarity(source, target):
    """Least-squares rotation, scale and shift that takes source points to target points (both [K,2])."""
    rows = [r for x, y in source for r in ([x, -y, 1, 0], [y, x, 0, 1])]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.asarray(target).reshape(-1), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def anchors():
    """Centres of BlazeFace's 896 anchors, in [0,1]: two per cell of a 16 grid, then six per cell of an 8 grid (both sizes)."""
    cells = []
    for n, count in ((16, 2), (8, 6)):
        y, x = np.mgrid[0:n, 0:n]
        cells.append(np.repeat(np.stack([(x + .5) / n, (y + .5) / n], -1).reshape(-1, 2), count, axis=0))
    return np.concatenate(cells)


def best_face(boxes, scores, size):
    """(score, centre x, centre y, width, height, six keypoints) of the strongest anchor, in [0,1] of the square input."""
    i = scores[:, 0].argmax()
    values, centre = boxes[i] / size, anchors()[i]
    return 1 / (1 + np.exp(-scores[i, 0])), *(centre + values[:2]), *values[2:4], centre + values[4:].reshape(6, 2)


def opening(landmarks):
    """Mouth opening: inner lips 13-14 over the face's height 10-152."""
    p = landmarks[..., :2]
    return np.linalg.norm(p[..., 13, :] - p[..., 14, :], axis=-1) / np.linalg.norm(p[..., 10, :] - p[..., 152, :], axis=-1)
