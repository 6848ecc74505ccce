"""lips-basic: a baseline lips model with Wav2Lip's own inputs and outputs, built by hand, not trained.

From the reference face it measures how open the mouth is and where (rows of the mouth's middle columns that are less red than the skin
around them are teeth or the inner mouth); from the mel window how open it should be (speech-band energy) and how wide (high against
low bands). It then moves the lips by one backward warp and darkens the gap between them. Distances are pixels of the 96 x 96 crop.

Only + - * / make the constants, so that they are the same on every machine.
"""
import numpy as np

from onnx_graph import Graph

SIZE = 96
# Where the crop must put a face; the same numbers stand in lips-basic.json for whoever makes the crop. They are the FFHQ template (of 512:
# eyes (193, 240) and (319, 240), nose (257, 314), mouth (201, 371) and (313, 371)) in columns 62:194 and rows 65:241 of its 256 version,
# the crop of the Wav2Lip networks of instant-high/wav2lip-onnx-HQ.
ASPECT = 0.75  # the crop is this much narrower than high before it is stretched into a square
POINTS = ((0.2613, 0.3124), (0.7383, 0.313), (0.5024, 0.5228), (0.2927, 0.6858), (0.7162, 0.6851))
MOUTH = (0.5, 0.685)
MOUTH_HALF_WIDTH = 0.175
GAP_HALF_WIDTH = 0.2  # of the opening that is closed: a smile is wider than a spoken vowel
# The mel frame of the window that belongs to the video frame: between Wav2Lip's inference (1.6 at 25 fps) and training (4.8).
MEL_CENTRE, MEL_REACH = 3.0, 4.0

# How the opening in the reference is seen: columns and rows of the looked-at strips, and what counts as not lip.
STRIP = (34, 63)
SKIN_ROWS = ((52, 60), (78, 88))
GAP_ROWS = (62, 78)
LINE_ROWS = (58, 70)
TEETH_ROWS = (64, 74)  # here what lies above a gap row is gap too: subsampled colour tints upper teeth as the lip
RED_LIMIT, RED_FADE = 0.98, 0.1  # of the skin's redness: below the first a row begins to count as gap, this much less counts fully
GAP_GAIN, GAP_NOISE = 1.75, 0.2  # pixels of opening per row counted, after what a closed mouth shows; from three videos of two people
LINE_BIAS = 0.4  # the darkest row of closed lips is this much above their line
LINE = 64.5  # where the lip line is when nothing is seen

# How speech moves the mouth.
OPEN_PIXELS = 11.0
QUIET, LOUD = 0.2, 5.0  # mean of the squared (mel + 2)+ over the speech bands: closed below, fully open above
SPEECH_BANDS, LOW_BANDS, HIGH_BANDS = (6, 60), (4, 22), (48, 80)
WIDTH = 0.16  # largest change of the mouth's width
RAISE = 0.15  # part of the opening done by the upper lip
FIXED_ROW = 52.0  # the base of the nose: nothing above it moves
DARK = 0.72  # how much the gap is darkened


def _bump(distance, reach):
    return np.maximum(0, 1 - (distance / reach) ** 2)


class _Lips:
    def __init__(self):
        self.g = Graph("lips-basic")
        centre = np.arange(SIZE, dtype=np.float64) + 0.5
        self.rows, self.columns = centre.reshape(1, 1, SIZE, 1), centre.reshape(1, 1, 1, SIZE)
        self.side = self.columns - SIZE * MOUTH[0]

    def const(self, array):
        return self.g.const(np.float32(array))

    def add(self, a, b):
        return self.g.op("Add", a, b)

    def sub(self, a, b):
        return self.g.op("Sub", a, b)

    def mul(self, a, b):
        return self.g.op("Mul", a, b)

    def div(self, a, b):
        return self.g.op("Div", a, b)

    def scale(self, a, factor):
        return self.mul(a, self.const(factor))

    def clip(self, a, low, high):
        return self.g.op("Clip", a, self.const(low), self.const(high))

    def slice(self, a, start, end, axis):
        return self.g.op("Slice", a, self.g.i64(start), self.g.i64(end), self.g.i64(axis))

    def rows_mean(self, weights, values):
        """Weighted mean of the row number, [B,1,1,1]; LINE where there is no weight."""
        small = 1e-3
        top = self.add(self.sum(self.mul(weights, values)), self.const(small * LINE))
        return self.div(top, self.add(self.sum(weights), self.const(small)))

    def sum(self, a):
        return self.g.op("ReduceSum", a, self.g.i64(2, 3), keepdims=1)

    def weighted(self, a, weights):
        return self.sum(self.mul(a, self.const(weights)))

    def reference_opening(self, reference):
        """(opening, top of the gap) of the reference's mouth, each [B,1,1,1]."""
        bgr = np.array([[-.5, -.5, 1], [.11, .59, .3]]).reshape(2, 3, 1, 1)  # redness and luminance
        strip = self.slice(self.g.op("Conv", reference, self.const(bgr)), *STRIP, 3)
        profile = self.g.op("ReduceMean", strip, axes=[3], keepdims=1)
        red, light = self.slice(profile, 0, 1, 1), self.slice(profile, 1, 2, 1)

        skin = np.zeros((1, 1, SIZE, 1))
        for start, end in SKIN_ROWS:
            skin[:, :, start:end] = 1 / (end - start) / len(SKIN_ROWS)
        skin = self.weighted(red, skin)
        gap_red = self.slice(red, *GAP_ROWS, 2)
        missing = self.div(self.sub(self.scale(skin, RED_LIMIT), gap_red), self.g.op("Max", skin, self.const(0.05)))
        gap = self.clip(self.scale(missing, 1 / RED_FADE), 0, 1)
        start, end = (row - GAP_ROWS[0] for row in TEETH_ROWS)
        below = self.g.op("MaxPool", self.slice(gap, start, end, 2), kernel_shape=[end - start, 1], pads=[0, 0, end - start - 1, 0])
        counted = self.scale(self.add(self.sum(gap), self.sum(below)), 0.5)
        opening = self.clip(self.scale(self.sub(counted, self.const(GAP_NOISE)), GAP_GAIN), 0, 14)
        gap_middle = self.rows_mean(gap, self.const(self.rows[:, :, slice(*GAP_ROWS)]))

        light = self.slice(light, *LINE_ROWS, 2)
        brightest = self.g.op("ReduceMax", light, axes=[2], keepdims=1)
        shade = self.div(self.sub(brightest, light), self.add(brightest, self.const(1e-3)))
        shade = self.mul(shade, shade)
        line = self.rows_mean(self.mul(shade, shade), self.const(self.rows[:, :, slice(*LINE_ROWS)] + LINE_BIAS))

        seen = self.clip(self.scale(opening, 0.5), 0, 1)
        top = self.sub(gap_middle, self.scale(opening, 0.5))
        return opening, self.clip(self.add(line, self.mul(seen, self.sub(top, line))), 58, 70)

    def speech(self, mel):
        """(opening in pixels, change of width) that the sound asks for, each [B,1,1,1]."""
        time = np.maximum(0, 1 - np.abs(np.arange(16) - MEL_CENTRE) / MEL_REACH)
        time /= time.sum()

        def bands(start, end):
            weights = np.zeros((1, 1, 80, 16))
            weights[:, :, start:end] = time / (end - start)
            return weights

        loud = self.g.op("Relu", self.add(mel, self.const(2)))
        energy = self.weighted(self.mul(loud, loud), bands(*SPEECH_BANDS))
        opening = self.clip(self.scale(self.sub(energy, self.const(QUIET)), 1 / (LOUD - QUIET)), 0, 1)
        balance = self.weighted(loud, bands(*HIGH_BANDS) - bands(*LOW_BANDS))
        width = self.mul(self.clip(self.scale(self.add(balance, self.const(1)), WIDTH), -WIDTH, WIDTH),
                         self.clip(energy, 0, 1))
        return self.scale(opening, OPEN_PIXELS), width

    def grid(self, was, top, wanted, width):
        """Where each output pixel is taken from, and how much of it is gap."""
        mouth = self.const(_bump(self.side, MOUTH_HALF_WIDTH * SIZE))
        rows = self.const(self.rows)
        removed = self.mul(was, self.const(_bump(self.side ** 2, (GAP_HALF_WIDTH * SIZE) ** 2)))
        lift = self.mul(self.scale(wanted, RAISE), mouth)
        new_top = self.sub(top, lift)
        height = self.mul(wanted, mouth)
        new_bottom = self.add(new_top, height)

        drop = self.sub(self.scale(wanted, 1 - RAISE), was)  # of the chin, ever less towards the crop's edge
        lip_drop = self.sub(self.sub(height, lift), removed)
        down = self.clip(self.div(self.sub(self.const(SIZE), rows), self.sub(self.const(SIZE), new_bottom)), 0, 1)
        chin = self.const(_bump(self.side, 0.42 * SIZE) ** 2)
        moved = self.add(self.mul(down, lip_drop), self.mul(self.sub(self.const(1), down), self.mul(drop, chin)))
        below = self.sub(rows, self.mul(moved, down))

        up = self.clip(self.div(self.sub(rows, self.const(FIXED_ROW)), self.sub(new_top, self.const(FIXED_ROW))), 0, 1)
        above = self.add(rows, self.mul(lift, up))

        part = self.clip(self.div(self.sub(rows, new_top), self.add(height, self.const(1e-3))), 0, 1)
        inside = self.add(top, self.mul(part, removed))
        y = self.g.op("Where", self.g.op("Less", rows, new_top), above, self.g.op("Where", self.g.op("Less", rows, new_bottom), inside, below))
        stretch = self.side * _bump(self.side, 0.4 * SIZE) ** 2 * _bump(self.rows - SIZE * MOUTH[1], 0.16 * SIZE) ** 2
        x = self.sub(self.const(self.columns), self.mul(width, self.const(stretch)))

        soft = self.mul(self.clip(self.add(self.sub(rows, new_top), self.const(.5)), 0, 1),
                        self.clip(self.add(self.sub(new_bottom, rows), self.const(.5)), 0, 1))
        gap = self.mul(soft, self.clip(self.scale(height, 0.5), 0, 1))
        return x, y, gap

    def build(self):
        g = self.g
        mel = g.input("mel_spectrogram", ["B", 1, 80, 16])
        faces = g.input("video_frames", ["B", 6, SIZE, SIZE])
        reference = self.slice(faces, 3, 6, 1)
        was, top = self.reference_opening(reference)
        x, y, gap = self.grid(was, top, *self.speech(mel))
        points = g.op("Concat", x, y, axis=1)
        points = self.sub(self.scale(g.op("Transpose", points, perm=[0, 2, 3, 1]), 2 / SIZE), self.const(1))
        moved = g.op("GridSample", reference, points, mode="bilinear", padding_mode="border", align_corners=0)
        shaded = self.mul(moved, self.sub(self.const(1), self.scale(gap, DARK)))
        touched = g.const((self.rows >= FIXED_ROW) & (np.abs(self.side) < 0.42 * SIZE))
        g.output(g.op("Where", touched, shaded, reference), "predicted_frames", ["B", 3, SIZE, SIZE])
        return g.bytes()


def build():
    return _Lips().build()
