"""The roles of modules/identity are enough, and no more: a campaign from submit to join, API and worker each with keys that have
that role's policy alone, on an S3 server that asks for it at every request."""
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import terraform_files
from aws_server import Aws, free_port
from terraform_files import ROOT, TERRAFORM, blocks

BUILD = ROOT / os.environ.get("MELA_BUILD", "build")
MEDIA = ROOT / ".deps/media/demo"
ACCOUNT = "123456789012"
BUCKETS = {"var.input_bucket_arn": "arn:aws:s3:::input", "var.output_bucket_arn": "arn:aws:s3:::output"}

pytestmark = [
    pytest.mark.skipif(bool(terraform_files.missing_tool()), reason=str(terraform_files.missing_tool())),
    pytest.mark.skipif(not shutil.which("moto_server"), reason="moto_server, the S3 server that asks for rights, is not installed"),
    pytest.mark.skipif(not (BUILD / "mela-worker").exists(), reason="build/mela-worker is not built")]


def policies():
    """{document: policy as JSON}, with the buckets' names put in."""
    def resolved(text):
        for expression, arn in BUCKETS.items():
            text = text.replace("${" + expression + "}", arn)
        assert "${" not in text
        return text

    module = terraform_files.load(TERRAFORM / "modules/identity")[TERRAFORM / "modules/identity"]
    documents = {name: body["statement"] for _, name, body in blocks(module.tree, "data") if name != "logs"}
    return {name: json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": statement["sid"], "Effect": "Allow", "Action": statement["actions"],
         "Resource": [resolved(resource) for resource in statement["resources"]]} for statement in statements]})
        for name, statements in documents.items()}


class Rights:
    """An S3 server with two buckets and an input, and {role: environment with its keys}."""

    def __init__(self, folder, video, speech):
        documents = policies()
        self.aws = Aws(folder, ACCOUNT, "us-east-1", {"INITIAL_NO_AUTH_ACTION_COUNT": str(4 + 3 * len(documents))})
        try:
            self.prepare(documents, video, speech)
        except AssertionError:
            self.aws.stop()
            raise

    def prepare(self, documents, video, speech):
        for bucket in ("/input", "/output"):
            self.aws.s3("PUT", bucket)
        self.aws.s3("PUT", "/input/talk.mp4", video)
        self.aws.s3("PUT", "/input/en.wav", speech)
        self.environment = {name: self.user(name, policy) for name, policy in documents.items()}

    def user(self, name, policy):
        self.aws.query("iam", "CreateUser", "2010-05-08", {"UserName": name})
        self.aws.query("iam", "PutUserPolicy", "2010-05-08", {"UserName": name, "PolicyName": name, "PolicyDocument": policy})
        key = self.aws.query("iam", "CreateAccessKey", "2010-05-08", {"UserName": name})
        return {**os.environ, "AWS_ACCESS_KEY_ID": key.findtext(".//AccessKeyId"), "AWS_REGION": "us-east-1",
                "AWS_SECRET_ACCESS_KEY": key.findtext(".//SecretAccessKey"),
                "MELA_S3_ENDPOINT": f"http://127.0.0.1:{self.aws.port}", "MELA_STORE": "s3://output"}


def clip(folder):
    """Two seconds of the demo's master, and as much speech."""
    for source, target, codec in (("master.mp4", "talk.mp4", ["-an", "-c:v", "libx264", "-preset", "ultrafast"]), ("en.wav", "en.wav", [])):
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-t", "2", "-i", MEDIA / source, *codec, folder / target], check=True)
    return (folder / "talk.mp4").read_bytes(), (folder / "en.wav").read_bytes()


def wait_for(condition, process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (value := condition()):
            return value
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def answers(address):
    try:
        return urllib.request.urlopen(f"{address}/readyz", timeout=5).status == 200
    except (OSError, urllib.error.URLError):
        return False


class Farm:
    """Redis, an API and a worker, each of the two with the keys of its role. run(role, program, ...) is a person's command."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        self.rights = Rights(folder, *clip(folder))
        try:
            self.start()
        except (AssertionError, OSError, subprocess.SubprocessError):
            self.stop()
            raise

    def start(self):
        self.spawn("redis", ["redis-server", "--port", "0", "--unixsocket", self.folder / "redis.sock", "--save", "",
                             "--maxmemory-policy", "noeviction", "--dir", self.folder])
        redis, self.address = f"unix://{self.folder}/redis.sock", f"http://127.0.0.1:{free_port()}"
        made = subprocess.run([BUILD / "mela", "keys", "add", "me", "--role", "admin", "--keys", "keys.json", "--json"],
                              cwd=self.folder, check=True, capture_output=True, text=True)
        self.key = json.loads(made.stdout)["key"]
        api = self.spawn("api", [BUILD / "mela", "serve", "--redis", redis, "--keys", "keys.json", "--listen", self.address[7:]],
                         self.rights.environment["api"])
        wait_for(lambda: answers(self.address), api, self.folder / "api.log")
        self.worker = self.spawn("worker", [
            BUILD / "mela-worker", "run", "--redis", redis, "--work", self.folder / "work", "--device", "cpu", "--models",
            ROOT / ".deps/models", "--manifests", ROOT / "models"], self.rights.environment["worker"])

    def spawn(self, name, command, environment=None):
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=self.folder, env=environment)
        self.started.append(process)
        return process

    def run(self, role, program, *arguments):
        environment = {**self.rights.environment[role], "MELA_ADDRESS": self.address, "MELA_KEY": self.key}
        return subprocess.run([BUILD / program, *map(str, arguments)], cwd=self.folder, env=environment, capture_output=True,
                              text=True, check=False, timeout=120)

    def stop(self):
        for process in reversed(self.started):
            process.terminate()
            process.wait(60)
        self.rights.aws.stop()


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    farm = Farm(tmp_path_factory.mktemp("rights"))
    yield farm
    farm.stop()


def test_a_campaign_needs_no_more(farm):
    submitted = farm.run("api", "mela", "submit", "--video", "s3://input/talk.mp4", "--dub", "en=s3://input/en.wav", "--class", "urgent",
                     "--json")
    assert submitted.returncode == 0, submitted.stderr
    campaign = json.loads(submitted.stdout)["id"]

    log = farm.folder / "worker.log"

    def ended():
        shown = json.loads(farm.run("api", "mela", "show", campaign, "--json").stdout)
        return shown if shown["state"] != "running" else None
    assert wait_for(ended, farm.worker, log)["state"] == "done", log.read_text(encoding="utf-8")
    fetched = farm.run("api", "mela", "get", campaign, "--output", "dubs")
    assert fetched.returncode == 0, fetched.stderr


def test_an_upload_needs_no_more(farm):
    submitted = farm.run("api", "mela", "submit", "--video", "talk.mp4", "--dub", "en=en.wav", "--json")
    assert submitted.returncode == 0, submitted.stderr


@pytest.mark.parametrize("role", ["api", "worker"])
def test_no_role_writes_models(farm, role):
    """The same request of a right that is not there is refused: the server does ask."""
    pushed = farm.run(role, "mela-worker", "models", "push", "lips-basic", "--models", ROOT / ".deps/models", "--manifests", ROOT / "models")
    assert pushed.returncode != 0 and "store.denied" in pushed.stderr
