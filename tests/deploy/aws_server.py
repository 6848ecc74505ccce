"""AWS as moto_server plays it, spoken to over plain HTTP: a few services, in the two protocols that they have."""
import json
import re
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

from ..support.network import free_port
from ..support.server_process import ServerProcess


class Aws(ServerProcess):
    def __init__(self, directory, account, region, environment=None):
        self.region, port = region, free_port()
        super().__init__("moto_server", ["moto_server", "-H", "127.0.0.1", "-p", str(port)], port,
                         {"MOTO_ACCOUNT_ID": account, **(environment or {})}, directory / "moto.log")

    def request(self, service, method, path, body, headers):
        scope = f"Credential=test/20260101/{self.region}/{service}/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=unchecked", **headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{service} {method} {path}: {error.code} {error.read().decode()}") from error

    def query(self, service, action, version, parameters):
        body = urllib.parse.urlencode({"Action": action, "Version": version, **parameters}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return without_namespaces(self.request(service, "POST", "/", body, headers))

    def json(self, service, target, parameters):
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        answer = self.request(service, "POST", "/", json.dumps(parameters).encode(), headers)
        return json.loads(answer or "{}")

    def s3(self, method, path, body=""):
        body = body if isinstance(body, bytes) else body.encode()
        answer = self.request("s3", method, path, body, {"Content-Type": "text/xml"})
        return without_namespaces(answer) if answer and method == "GET" else None


def without_namespaces(text):
    return xml.etree.ElementTree.fromstring(re.sub(rb'\sxmlns="[^"]*"', b"", text))
