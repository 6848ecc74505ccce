#!/usr/bin/python3
"""An executor that does what no executor should. The word in the file "mode" beside this script says what: "real" becomes the real
executor; the others say that they are ready, and do it at their first job. It speaks the wire of src/executor/wire.h."""
import json
import os
import pathlib
import struct
import sys
import time

WIRE = int(os.environ["MELA_WIRE"])
HERE = pathlib.Path(__file__).parent


def send(message):
    text = json.dumps(message).encode()
    os.write(WIRE, struct.pack(">I", len(text)) + text)


def read_exactly(count):
    data = b""
    while len(data) < count:
        piece = os.read(WIRE, count - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data


def receive():
    return json.loads(read_exactly(struct.unpack(">I", read_exactly(4))[0]))


def leave_a_link(job):
    """Claims to have done the job, and leaves a link to a file of the machine for each file that it should have written."""
    for name in ("plan.json", "track.trk", "segment.mp4", "final.mp4", *(f"speech-{d['language']}.pcm" for d in job["spec"]["dubs"])):
        os.symlink("/etc/passwd", pathlib.Path(job["scratch"]) / name)
    send({"type": "done", "report": {"frames": 1, "steps_ms": {}}})


def eat_memory(_):
    eaten = []
    while True:
        eaten.append(b"x" * (64 << 20))


MISDEEDS = {
    "hang": lambda job: time.sleep(3600),
    "abort": lambda job: os.abort(),
    "leave": lambda job: sys.exit(3),
    "babble": lambda job: os.write(WIRE, b"\xff\xff\xff\xff nonsense"),
    "shout": lambda job: send({"type": "shout"}),
    "link": leave_a_link,
    "eat": eat_memory,
}

mode = (HERE / "mode").read_text().strip()
if mode == "real":
    program = (HERE / "program").read_text().strip()
    os.execv(program, [program, *sys.argv[1:]])
if mode == "unready":
    sys.exit(7)
send({"type": "ready", "device": "cpu"})
while True:
    message = receive()
    if message["type"] == "job":
        MISDEEDS[mode](message)
