"""Reads a picture: its ground, and of each shape on it the kind, colour, size and place. Shares nothing with draw.py but the names of
the colours: it looks at outlines, so it reads what a network made as well as what was drawn. numpy alone.

usage: read.py     reads 1,000 drawn pictures and prints how many of each answer are right
"""
import numpy as np

from draw import COLOURS

NAMES, VALUES = list(COLOURS), np.array(list(COLOURS.values()), float)
LEAST_AREA = 60  # pixels: less is a speck, no shape
LEAST_LARGE = 0.54  # of the side: the longer edge of a large shape's box
RAYS = np.arange(60) * 2 * np.pi / 60


def _nearest(colour):
    return NAMES[int(np.argmin(((VALUES - colour) ** 2).sum(1)))]


def _regions(mask):
    """Masks of the connected parts, each grown from one pixel until nothing is added."""
    left = mask.copy()
    while left.any():
        part = np.zeros_like(mask)
        part.flat[np.argmax(left)] = True
        size = 0
        while part.sum() > size:
            size = part.sum()
            wide = np.pad(part, 1)
            part = mask & (wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:])
        left &= ~part
        yield part


def _outline(cover, centre):
    """How far the shape reaches from its centre along each ray, in pixels."""
    steps = np.arange(0, 40, 0.25)
    x = np.clip(centre[0] + steps * np.cos(RAYS)[:, None], 0, cover.shape[1] - 1.001)
    y = np.clip(centre[1] + steps * np.sin(RAYS)[:, None], 0, cover.shape[0] - 1.001)
    left, top = x.astype(int), y.astype(int)
    right, below = x - left, y - top
    upper = cover[top, left] * (1 - right) + cover[top, left + 1] * right
    lower = cover[top + 1, left] * (1 - right) + cover[top + 1, left + 1] * right
    return (upper * (1 - below) + lower * below).sum(1) * 0.25


def _shape(reach):
    """The kind, by how often the outline goes out and in: 3, 4 or 5 times a turn, or not at all."""
    wave = lambda n: 2 * (reach * np.exp(-1j * n * RAYS)).mean() / reach.mean()
    three, four, five = abs(wave(3)), wave(4).real, abs(wave(5))  # four: above zero where the arms of a cross are
    strength = {"triangle": three, "cross": four, "square": -2.5 * four, "star": 1.2 * five}
    best = max(strength, key=strength.get)
    return best if strength[best] > 0.11 else "circle"


def _place(mask, side):
    """By the middle of the box around it: an eighth of the side from the centre, or none."""
    y, x = np.nonzero(mask)
    right, down = (x.min() + x.max() + 1) / 2 - side / 2, (y.min() + y.max() + 1) / 2 - side / 2
    if max(abs(right), abs(down)) < side / 16:
        return "centre"
    if abs(right) > abs(down):
        return "right" if right > 0 else "left"
    return "bottom" if down > 0 else "top"


def _thing(picture, ground, part):
    colour = np.median(picture[part], 0)
    y, x = np.nonzero(part)
    near = np.zeros(part.shape, bool)
    near[max(y.min() - 2, 0):y.max() + 3, max(x.min() - 2, 0):x.max() + 3] = True
    contrast = colour - ground
    cover = np.clip(((picture - ground) @ contrast) / (contrast @ contrast), 0, 1) * near
    rows, columns = np.mgrid[0:part.shape[0], 0:part.shape[1]]
    centre = np.array([(cover * columns).sum(), (cover * rows).sum()]) / cover.sum()
    reach = _outline(cover, centre)
    edge = max(np.ptp(y), np.ptp(x)) + 1
    return {"shape": _shape(reach), "colour": _nearest(colour), "place": _place(cover > 0.5, part.shape[0]),
            "size": "large" if edge > LEAST_LARGE * part.shape[0] else "small"}


def read(picture):
    """{"ground", "things"} of [side,side,3] uint8, the things from the left or the top."""
    picture = picture.astype(float)
    edge = np.concatenate([picture[:2].reshape(-1, 3), picture[-2:].reshape(-1, 3), picture[:, :2].reshape(-1, 3), picture[:, -2:].reshape(-1, 3)])
    names = [_nearest(pixel) for pixel in edge]
    name = max(set(names), key=names.count)
    ground = np.median(edge[[one == name for one in names]], 0)
    parts = [part for part in _regions(np.sqrt(((picture - ground) ** 2).sum(2)) > 45) if part.sum() >= LEAST_AREA]
    return {"ground": name, "things": [_thing(picture, ground, part) for part in parts]}


def agrees(said, seen):
    """{answer: [bool]} for each thing that was said; of two things each is sought at its place."""
    right = {"ground": [said["ground"] == seen["ground"]]} if said["ground"] else {}
    right["count"] = [len(said["things"]) == len(seen["things"])]
    for thing in said["things"]:
        found = seen["things"]
        if len(said["things"]) > 1:
            found = [one for one in found if one["place"] == thing["place"]]
        for name, value in thing.items():
            if value:
                right.setdefault(name, []).append(bool(found) and found[0][name] == value)
    return right


def main():
    import draw
    tally = {}
    for seed in range(1000):
        random = np.random.default_rng([7, seed])
        made = draw.scene(random)
        for name, answers in agrees(made, read(draw.draw(made, random))).items():
            tally.setdefault(name, []).extend(answers)
    for name, answers in tally.items():
        print(f"{name}: {sum(answers)} of {len(answers)}, {100 * np.mean(answers):.1f} %")


if __name__ == "__main__":
    main()
