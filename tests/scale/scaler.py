"""A scaler with its Redis, and what KEDA would say to it: messages of externalscaler.proto, by hand."""
import hashlib
import json
import re
import signal
import struct
import subprocess

import grpc
import requests

from ..support.paths import BUILD
from ..support.redis_server import RedisServer
from ..support.waiting import DEADLINE, wait_for_program

SERVICE = "/externalscaler.ExternalScaler/"
KEY = "mela_test"


# --- protobuf ---


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def scaled_object(**metadata):
    return field(1, "lips") + field(2, "studio") + b"".join(field(3, field(1, k) + field(2, v)) for k, v in metadata.items())


def metrics_request(metric="", **metadata):
    return field(1, scaled_object(**metadata)) + field(2, metric)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def parse(data):
    """{number: value} of one message."""
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            fields[tag >> 3], at = read_varint(data, at)
        elif tag & 7 == 1:
            fields[tag >> 3], at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        else:
            length, at = read_varint(data, at)
            fields[tag >> 3], at = data[at:at + length], at + length
    return fields


def metric(reply):
    """(name, integer, float) of a GetMetricSpecResponse or a GetMetricsResponse."""
    inner = parse(parse(reply)[1])
    return inner[1].decode(), inner[2], inner[3]


# --- the programs ---


class Client:
    """A real gRPC client on one channel of its own."""

    def __init__(self, port, credentials=None, host="127.0.0.1"):
        options = [("grpc.use_local_subchannel_pool", 1)]
        target = f"{host}:{port}"
        self.channel = grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)

    def call(self, method, message, service=SERVICE, **kwargs):
        return self.channel.unary_unary(service + method)(message, timeout=DEADLINE, **kwargs)

    def active(self, **metadata):
        return bool(parse(self.call("IsActive", scaled_object(**metadata))).get(1))

    def stream(self, **metadata):
        return self.channel.unary_stream(SERVICE + "StreamIsActive")(scaled_object(**metadata))

    def desired(self, metric_name="m", **metadata):
        name, integer, number = metric(self.call("GetMetrics", metrics_request(metric_name, **metadata)))
        assert integer == number and name == metric_name
        return integer

    def close(self):
        self.channel.close()


# Batch is held at night by default; these tests run at any hour.
DAY_AND_NIGHT = {"pools": {pool: {"quiet_hours": None} for pool in ("cpu", "lipsync", "image")}}


class Scaler:
    """mela serve with a scaler, and a Redis of its own on a socket."""

    def __init__(self, folder):
        self.folder = folder
        self.process, self.redis = None, RedisServer(folder)
        self.log = folder / "serve.log"
        self.clients = []
        hashed = hashlib.sha256(KEY.encode()).hexdigest()
        (folder / "keys.json").write_text(json.dumps({"keys": [{"name": "test", "role": "admin", "sha256": hashed}]}))

    def start(self, *options):
        (self.folder / "farm.json").write_text(json.dumps(DAY_AND_NIGHT))
        command = [BUILD / "mela", "serve", "--redis", self.redis.url, "--store", f"file://{self.folder}/store",
                   "--keys", self.folder / "keys.json", "--listen", "127.0.0.1:0", "--scaler-listen", "127.0.0.1:0", *options]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=log, stdout=log)
        self.port, self.api_port = self.logged(r"scaler answers on port (\d+)"), self.logged(r"API answers on port (\d+)")
        return self

    def logged(self, pattern):
        found = wait_for_program(self.process, lambda: re.search(pattern, self.log.read_text()), pattern, self.log)
        return found[1] if found.groups() else found[0]

    def client(self, **kwargs):
        self.clients.append(Client(self.port, **kwargs))
        return self.clients[-1]

    def submit(self, count=1, campaign_class="batch"):
        """Campaigns whose plans nobody does: `count` ready jobs of the pool cpu."""
        for _ in range(count):
            sha = hashlib.sha256(b"video").hexdigest()
            spec = {"name": "test", "class": campaign_class, "video": f"sha256:{sha}", "dubs": [{"language": "hi", "audio": f"sha256:{sha}"}]}
            self.api("PUT", f"/v1/files/{sha}", data=b"video")
            assert self.api("POST", "/v1/campaigns", json=spec).status_code in (200, 201, 202)

    def api(self, method, path, **kwargs):
        return requests.request(method, f"http://127.0.0.1:{self.api_port}{path}", timeout=DEADLINE,
                                headers={"Authorization": f"Bearer {KEY}"}, **kwargs)

    def stop(self):
        for client in self.clients:
            client.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE)
        self.redis.stop()
