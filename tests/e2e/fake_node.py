"""Mocks of what is around a worker on a node: the Kubernetes API, EC2's metadata service, NVIDIA's management library.
There is no cluster and no card here; the mocks answer what the documentation says the real ones do."""
import http.server
import json
import ssl
import subprocess
import threading

TOKEN = "token-of-the-pod"

NVML = r"""
#include <stdlib.h>
#include <string.h>
static int number(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }
int nvmlInit_v2(void) { return number("FAKE_NVML_INIT"); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int status) { return status == 9 ? "Driver Not Loaded" : "GPU is lost"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex(unsigned index, void **device) { *device = &NVML; return number("FAKE_NVML_LOST"); }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { strncpy(out, "999.1", size); return 0; }
int nvmlDeviceGetName(void *device, char *out, unsigned size) { strncpy(out, "Fake Card", size); return 0; }
int nvmlDeviceGetUUID(void *device, char *out, unsigned size) { strncpy(out, "GPU-1234", size); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
    memory[0] = 24ULL << 30; memory[1] = 23ULL << 30; memory[2] = 1ULL << 30; return 0; }
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) { rates[0] = 87; rates[1] = 12; return 0; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) { *milliwatts = 212500; return 0; }
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) {
    *degrees = 61; return number("FAKE_NVML_COLD") || sensor != 0 ? 3 : 0; }
int nvmlDeviceGetTotalEccErrors(void *device, int type, int counter, unsigned long long *count) {
    *count = type == 1 ? number("FAKE_NVML_ECC") : 7; return counter == 0 ? 0 : 2; }
int nvmlDeviceGetRemappedRows(void *device, unsigned *a, unsigned *b, unsigned *pending, unsigned *failed) {
    *a = *b = *pending = 0; *failed = number("FAKE_NVML_REMAP"); return 0; }
int nvmlEventSetCreate(void **set) { *set = &NVML; return 0; }
int nvmlEventSetFree(void *set) { return 0; }
int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set) { return types == 8 ? 0 : 2; }
struct event { void *device; unsigned long long type, data; unsigned a, b; };
int nvmlEventSetWait_v2(void *set, struct event *event, unsigned timeout) {
    static int told; if (told++ || !number("FAKE_NVML_XID")) return 10;
    event->type = 8; event->data = number("FAKE_NVML_XID"); return 0; }
""".replace("&NVML", "(void *)number")


def fake_nvml(folder):
    """Builds a libnvidia-ml.so.1 without some functions; its folder, for LD_LIBRARY_PATH."""
    subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", folder / "libnvidia-ml.so.1"], input=NVML, text=True, check=True)
    return folder


class Server:
    """An HTTP server in a thread; `requests` is what it was asked."""

    def __init__(self, context=None):
        self.requests = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                owner.requests.append((self.command, self.path))
                status, reply = owner.reply(self.command, self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


class FakeMetadata(Server):
    """IMDSv2: a token, then the spot notice; 404 until there is one."""

    def __init__(self):
        super().__init__()
        self.notice = None

    def reply(self, method, path, headers, body):
        if (method, path) == ("PUT", "/latest/api/token"):
            return (200, b"imds-token") if headers["X-aws-ec2-metadata-token-ttl-seconds"] else (400, b"")
        if headers["X-aws-ec2-metadata-token"] != "imds-token":
            return 401, b""
        if path == "/latest/meta-data/spot/instance-action" and self.notice:
            return 200, json.dumps(self.notice).encode()
        return 404, b""

    def environment(self):
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{self.port}"}


class FakeCluster(Server):
    """Nodes and one pod of a Kubernetes API, over TLS with an authority of its own."""

    def __init__(self, folder, cordoned=()):
        key, certificate = folder / "api.key", folder / "ca.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        (folder / "token").write_text(TOKEN + "\n")
        (folder / "namespace").write_text("studio")
        self.folder = folder
        self.costs = []
        self.deleted = []
        self.refuses = None
        self.nodes = {name: {"unschedulable": name in cordoned} for name in ["own", *cordoned]}
        super().__init__(context)

    def reply(self, method, path, headers, body):
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, b'{"message": "Unauthorized"}'
        if self.refuses:
            return 403, json.dumps({"message": self.refuses}).encode()
        if method == "GET" and path == "/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue":
            items = [{"metadata": {"name": name}} for name, node in self.nodes.items() if node["unschedulable"]]
            return 200, json.dumps({"items": items}).encode()
        if method == "DELETE" and path == "/api/v1/namespaces/studio/pods/worker-1" and not body:
            self.deleted.append({name for name, node in self.nodes.items() if node["unschedulable"]})
            return 200, b"{}"
        change = json.loads(body) if headers["Content-Type"] == "application/merge-patch+json" else {}
        if method == "PATCH" and path == "/api/v1/namespaces/studio/pods/worker-1":
            self.costs.append(change["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"])
            return 200, b"{}"
        if method == "PATCH" and path == "/api/v1/nodes/own":
            self.nodes["own"] = {"unschedulable": bool(change["spec"]["unschedulable"]),
                                 "reason": change["metadata"]["annotations"]["mela/cordoned"]}
            return 200, b"{}"
        return 404, b'{"message": "not found"}'

    def environment(self):
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port),
                "MELA_KUBERNETES_MOUNT": str(self.folder), "POD_NAME": "worker-1", "NODE_NAME": "own"}
