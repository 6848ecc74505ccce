"""As much of S3 as a farm of small jobs needs, in memory and in this process: a real server takes ten times as long, which bounds
how many jobs a farm can be tormented with. The tests of src/store show what real servers do."""
import collections
import email.utils
import hashlib
import threading
import urllib.parse
import xml.sax.saxutils

from ..support.s3_servers import Proxy


class MemoryS3(Proxy):
    """A proxy that answers by itself what its rules let pass. `objects` may be shared by several."""
    keys = ("test", "secret")

    def __init__(self, objects):
        self.objects, self.lock = objects, threading.Lock()
        super().__init__(None)
        self.seen = collections.deque(maxlen=0)

    def forward(self, handler, body):
        path, _, query = handler.path.partition("?")
        key = urllib.parse.unquote(path)
        with self.lock:
            if handler.command == "PUT":
                return self.put(key, body, handler.headers.get("If-None-Match"))
            if "list-type=2" in query:
                return self.list(key.rstrip("/") + "/", dict(urllib.parse.parse_qsl(query)).get("prefix", ""))
            if key not in self.objects:
                return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
            status, headers, data = self.get(self.objects[key], handler.headers.get("Range"))
            return status, headers, b"" if handler.command == "HEAD" else data

    def put(self, key, body, absent):
        if absent and key in self.objects:
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        self.objects[key] = body
        return 200, {"ETag": etag(body)}, b""

    def get(self, data, span):
        headers = {"ETag": etag(data), "Last-Modified": email.utils.formatdate(0, usegmt=True), "Content-Length": str(len(data))}
        if not span:
            return 200, headers, data
        first, last = span.removeprefix("bytes=").split("-")
        part = data[int(first):int(last) + 1 if last else None]
        if not part:
            return 416, {}, b"<Error><Code>InvalidRange</Code></Error>"
        return 206, {**headers, "Content-Length": str(len(part)),
                     "Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"}, part

    def list(self, bucket, prefix):
        names = sorted(key.removeprefix(bucket) for key in self.objects if key.startswith(bucket + prefix))
        rows = "".join(f"<Contents><Key>{xml.sax.saxutils.escape(name)}</Key><Size>{len(self.objects[bucket + name])}</Size>"
                       "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>" for name in names)
        return 200, {}, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()


def etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'
