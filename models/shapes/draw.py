"""Draws the pictures that the small model learns from: one or two flat shapes on a ground, and what an English speaker might call them.

A scene is a dict {"ground": colour, "things": [{"shape", "colour", "size", "place"}, ...]}. Everything comes from the random generator
that the caller gives, so a seed names a picture and a caption. numpy alone.

usage: draw.py SEED FILE.png [COUNT]     a sheet of COUNT pictures (16), captions on standard output
"""
import struct
import sys
import zlib

import numpy as np

SIDE = 64  # pixels: a latent of 8 x 8, more than three cells for a small shape; 96 was tried and takes twice the time to train
COLOURS = {"red": (220, 40, 40), "orange": (245, 140, 20), "yellow": (245, 225, 50), "green": (40, 160, 70), "blue": (40, 80, 210),
           "purple": (140, 50, 170), "pink": (250, 150, 190), "black": (20, 20, 20), "white": (245, 245, 245)}
RADII = {"small": 13, "large": 21}  # pixels; two shapes of one picture are both small
OFFSETS = {"small": 16, "large": 8}  # pixels from the centre: whole cells, so that every place's latents are the others', moved
PLACES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), "centre": (0, 0)}
OPPOSITE = [("left", "right"), ("top", "bottom")]


def _regular(corners, inner=None):
    """Corner points on the unit circle, the first at the top; with inner, a point of that radius between each two."""
    count = corners * (2 if inner else 1)
    angle = np.arange(count) * 2 * np.pi / count - np.pi / 2
    radius = np.where(np.arange(count) % 2, inner or 1, 1)
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], 1)


_ARM = 0.3  # half the width of a cross's arm
POLYGONS = {
    "square": np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]),
    "triangle": _regular(3) * 1.15 + (0, 0.2),
    "star": _regular(5, 0.38) * 1.12 + (0, 0.05),
    "cross": np.array([(-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM), (_ARM, 1), (-_ARM, 1),
                       (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)]),
}
SHAPES = ["circle", *POLYGONS]


def _polygon_distance(points, corners):
    """Signed distance of points [n,2] from a polygon, negative inside."""
    ends = np.roll(corners, -1, 0)
    edge, offset = ends - corners, points[:, None] - corners
    along = np.clip((offset * edge).sum(2) / (edge ** 2).sum(1), 0, 1)
    distance = np.sqrt(((offset - along[..., None] * edge) ** 2).sum(2)).min(1)
    below, above = corners[:, 1] <= points[:, 1:], ends[:, 1] > points[:, 1:]
    side = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]
    winding = (below & above & (side > 0)).sum(1) - (~below & ~above & (side < 0)).sum(1)
    return np.where(winding != 0, -distance, distance)


def _coverage(shape, centre, radius, side):
    """How much of each pixel the shape covers, [side,side], antialiased by its distance from the outline."""
    y, x = np.mgrid[0:side, 0:side] + 0.5
    points = np.stack([x - centre[0], y - centre[1]], 2).reshape(-1, 2)
    covered = np.zeros(side * side)
    near = np.abs(points).max(1) < radius * 1.5 + 2
    if shape == "circle":
        distance = np.hypot(*points[near].T) - radius
    else:
        distance = _polygon_distance(points[near], POLYGONS[shape] * radius)
    covered[near] = np.clip(0.5 - distance, 0, 1)
    return covered.reshape(side, side)


def draw(scene, random=None, colours=None):
    """The picture [64,64,3] uint8 of a scene. random: places and sizes vary a little. colours: other RGB values for the names."""
    colours = colours or COLOURS
    picture = np.broadcast_to(np.float64(colours[scene["ground"]]), (SIDE, SIDE, 3))
    for thing in scene["things"]:
        radius = RADII[thing["size"]] * (random.uniform(0.92, 1.08) if random else 1)
        centre = np.array(PLACES[thing["place"]]) * OFFSETS[thing["size"]] + SIDE / 2 + (random.uniform(-1.5, 1.5, 2) if random else 0)
        cover = _coverage(thing["shape"], centre, radius, SIDE)[..., None]
        picture = picture * (1 - cover) + np.float64(colours[thing["colour"]]) * cover
    return np.rint(picture).astype(np.uint8)


def scene(random, pairs=0.2, empty=0.02):
    """A scene drawn evenly from all; pairs and empty are the shares of those with two shapes and with none."""
    pick = lambda names: str(random.choice(list(names)))
    kind = random.random()
    ground = pick(COLOURS)
    free = [colour for colour in COLOURS if colour != ground]
    places = OPPOSITE[random.integers(2)] if kind < pairs else [pick(PLACES)] if kind < 1 - empty else []
    sizes = ["small"] if len(places) == 2 else RADII
    things = [{"shape": pick(SHAPES), "colour": pick(free), "size": pick(sizes), "place": place} for place in places]
    if random.random() < 0.5:
        things.reverse()
    return {"ground": ground, "things": things}


def held_out(made):
    """Whether no training picture shows this scene: every tenth combination of shape, colour and ground."""
    return any(zlib.crc32(f"{thing['shape']} {thing['colour']} {made['ground']}".encode()) % 10 == 0 for thing in made["things"])


SIZE_WORDS = {"small": ["small", "little", "tiny"], "large": ["large", "big", "huge"]}
PLACE_WORDS = {"left": ["on the left", "at the left", "to the left"], "right": ["on the right", "at the right", "to the right"],
               "top": ["at the top", "above"], "bottom": ["at the bottom", "below"],
               "centre": ["in the centre", "in the middle", "in the center"]}
GROUND_WORDS = ["on {a} ground", "on {a} background", "on {}", ", {} background", ", {} ground"]
EMPTY_WORDS = ["nothing on {a} ground", "an empty {} background", "no shapes, only {a} ground", "a plain {} background"]
LEADS = ["", "", "", "a picture of ", "an image of ", "a drawing of "]


def _with_article(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def _noun_phrase(thing, random, says):
    """'a large red circle on the left', with what says leaves of it."""
    words = []
    if says["size"]:
        words.append(str(random.choice(SIZE_WORDS[thing["size"]])))
    if says["colour"]:
        words.append(thing["colour"])
    words.append(thing["shape"] if says["shape"] else "shape")
    phrase = _with_article(" ".join(words))
    return f"{phrase} {random.choice(PLACE_WORDS[thing['place']])}" if says["place"] else phrase


def caption(made, random, full=False):
    """One of the many sentences for a scene, and what it says: the scene with None for what it leaves open. full: it says all."""
    chance = {"shape": 0.95, "colour": 0.92, "size": 0.6, "place": 0.6, "ground": 0.8}
    says = {name: full or random.random() < share for name, share in chance.items()}
    if len(made["things"]) == 2:
        says["place"] = True  # else nothing tells which is which
    ground = made["ground"] if says["ground"] or not made["things"] else None
    said = {"ground": ground, "things": [{name: value if says[name] else None for name, value in thing.items()} for thing in made["things"]]}
    if not made["things"]:
        return str(random.choice(EMPTY_WORDS)).format(ground, a=_with_article(ground)), said
    phrases = [_noun_phrase(thing, random, says) for thing in made["things"]]
    text = str(random.choice(LEADS)) + str(random.choice([" and ", ", "])).join(phrases)
    if len(phrases) == 2 and random.random() < 0.2:
        text = "two shapes: " + " and ".join(phrases)
    if ground:
        end = str(random.choice(GROUND_WORDS)).format(ground, a=_with_article(ground))
        text += end if end.startswith(",") else " " + end
    return text, said


def png(picture):
    """The bytes of a PNG of [h,w,3] uint8."""
    height, width, _ = picture.shape
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def sheet(pictures, columns=8, gap=4):
    """Pictures of one size side by side on grey."""
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    out = np.full((rows * (height + gap), columns * (width + gap), 3), 128, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        out[y:y + height, x:x + width] = picture
    return out


def main():
    random = np.random.default_rng(int(sys.argv[1]))
    pictures = []
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 16):
        made = scene(random)
        pictures.append(draw(made))
        print(caption(made, random)[0])
    with open(sys.argv[2], "wb") as file:
        file.write(png(sheet(pictures)))


if __name__ == "__main__":
    main()
