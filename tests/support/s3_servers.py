"""S3 servers for the tests: moto_server or s3rver as found, and a proxy in front that does harm on request."""
import contextlib
import hashlib
import http.client
import http.server
import shutil
import threading
import urllib.error
import urllib.request

import pytest

from .network import free_port
from .paths import DEPS
from .server_process import ServerProcess

S3RVER = DEPS / "s3rver/node_modules/s3rver/bin/s3rver.js"


class Server(ServerProcess):
    """A running S3 server with the buckets `bucket` and `other`. `lacks` names what it cannot show."""
    buckets = ("bucket", "other")

    def __init__(self, name, command, environment, keys, lacks, directory):
        self.keys, self.lacks, self.address = keys, lacks, f"127.0.0.1:{command[1]}"
        super().__init__(name, *command, environment, directory / f"{name}.log")

    def request(self, method, path, body=None, headers=None):
        request = urllib.request.Request(f"http://{self.address}{path}", body, headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()


def start_moto(directory, unchecked_calls=None):
    """`unchecked_calls`: after so many, every request must be signed by a known key that its policy allows."""
    port = free_port()
    environment = {} if unchecked_calls is None else {"INITIAL_NO_AUTH_ACTION_COUNT": str(unchecked_calls)}
    server = Server("moto_server", (["moto_server", "-H", "127.0.0.1", "-p", str(port)], port), environment,
                    ("test", "secret"), set(), directory)
    for bucket in Server.buckets:
        server.request("PUT", f"/{bucket}")
    if unchecked_calls is None and not completes_conditionally(server):
        server.lacks.add("conditional multipart")
    return server


def completes_conditionally(server):
    """Does an upload of parts honour If-None-Match where another one made the object, and leave that? Older releases of moto do
    not."""
    headers = {"Content-Type": "text/plain", "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/"
               "aws4_request, SignedHeaders=host, Signature=unchecked"}

    def upload(data, **condition):
        upload = server.request("POST", "/other/probe?uploads", b"", headers).decode().split("<UploadId>")[1].split("<")[0]
        server.request("PUT", f"/other/probe?partNumber=1&uploadId={upload}", data, headers)
        server.request("POST", f"/other/probe?uploadId={upload}", b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
                       b"%s</ETag></Part></CompleteMultipartUpload>" % hashlib.md5(data).hexdigest().encode(), {**headers, **condition})

    upload(b"x")
    try:
        upload(b"y", **{"If-None-Match": "*"})
    except urllib.error.HTTPError as error:
        return error.code == 412 and server.request("GET", "/other/probe", headers=headers) == b"x"
    finally:
        server.request("DELETE", "/other/probe", headers=headers)
    return False


def start_s3rver(directory):
    port = free_port()
    data = directory / "s3rver"
    data.mkdir()
    command = ["node", str(S3RVER), "-d", str(data), "-a", "127.0.0.1", "-p", str(port)]
    for bucket in Server.buckets:
        command += ["--configure-bucket", bucket]
    return Server("s3rver", (command, port), {}, ("S3RVER", "S3RVER"),
                  {"conditional create", "conditional multipart", "unsigned preparation", "a range of an empty object", "the order of keys"}, directory)


def start_any(directory):
    """The server at hand, or None."""
    if shutil.which("moto_server"):
        return start_moto(directory)
    return start_s3rver(directory) if S3RVER.exists() else None


def start_or_skip(directory):
    """The same for tests that cannot do without."""
    server = start_any(directory)
    if not server:
        pytest.skip("no S3 server: neither moto_server on PATH nor s3rver in .deps (script/setup --test)")
    return server


class Proxy:
    """Passes requests on to `target`. `rules` are functions (method, path, headers) -> harm or None, asked in turn; a harm is
    (status, body), "drop", "stall", "lose" (pass on, then close without the answer) or ("cut", bytes)."""

    def __init__(self, target):
        self.target, self.rules, self.seen, self.released = target, [], [], threading.Event()
        self.turn = contextlib.nullcontext()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each body waits 40 ms for the client to acknowledge the head

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path, dict(self.headers)))
                harm = next((h for h in (rule(self.command, self.path, self.headers) for rule in proxy.rules) if h), None)
                proxy.answer(self, body, harm)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def answer(self, handler, body, harm):
        handler.close_connection = harm is not None
        if harm == "drop":
            return
        if harm == "stall":
            self.released.wait(30)
            return
        if isinstance(harm, tuple) and harm[0] != "cut":
            status, headers, content = harm[0], {}, harm[1].encode()
        else:
            with self.turn:
                status, headers, content = self.forward(handler, body)
        if harm == "lose":
            return
        handler.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                handler.send_header(name, value)
        length = headers.get("Content-Length", len(content)) if handler.command == "HEAD" else len(content)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(content[:harm[1]] if isinstance(harm, tuple) and harm[0] == "cut" else content)

    def forward(self, handler, body):
        connection = http.client.HTTPConnection(self.target, timeout=30)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def harm(self, action, times=1, when=lambda method, path: True):
        """The next `times` requests that fit get this."""
        left = [times]
        lock = threading.Lock()

        def rule(method, path, headers):
            with lock:
                if left[0] > 0 and when(method, path):
                    left[0] -= 1
                    return action
            return None

        self.rules.append(rule)

    def pass_one_by_one(self):
        """Makes each request atomic, as S3's are: moto looks whether an object is there and then puts it, and another one may come
        in between."""
        self.turn = threading.Lock()

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
