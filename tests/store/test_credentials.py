"""Where credentials come from. One server plays STS, the container endpoint, IMDSv2 and S3; S3 notes who signs."""
import http.server
import json
import re
import threading
import time
import urllib.parse

import pytest

from .conftest import Tool

PAGES = ["<ListBucketResult><NextContinuationToken>more</NextContinuationToken></ListBucketResult>",
         "<ListBucketResult></ListBucketResult>"]


class Cloud:
    def __init__(self):
        self.signers, self.regions, self.asked, self.expires_in, self.fail = [], [], [], 3600, set()
        self.before_answer = lambda: None
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, answer = cloud.answer(self.command, self.path, self.headers, body)
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer.encode())

            do_GET = do_PUT = do_POST = handle_any

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, method, path, headers, body):
        if path.startswith("/bucket"):
            signer, region = re.search("Credential=([^/]*)/[^/]*/([^/]*)/s3/", headers["authorization"]).groups()
            self.regions.append(region)
            signed = "x-amz-security-token" in re.search("SignedHeaders=([^,]*)", headers["authorization"])[1]
            assert signed == (headers["x-amz-security-token"] is not None)
            self.signers.append((signer, headers["x-amz-security-token"]))
            return 200, PAGES["continuation-token" in path]
        self.asked.append((method, path, headers, body))
        if path in self.fail:
            return 403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
        self.before_answer()
        return 200, self.credentials(path)

    def credentials(self, path):
        number = len(self.asked)
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.expires_in))
        if path == "/sts":
            return ("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>STS"
                    f"{number}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t&amp;{number}</SessionToken>"
                    f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
                    "</AssumeRoleWithWebIdentityResponse>")
        if path == "/latest/api/token":
            return "imds-token"
        if path == "/latest/meta-data/iam/security-credentials/":
            return "the-role"
        return json.dumps({"AccessKeyId": f"KEY{number}", "SecretAccessKey": "s", "Token": f"t{number}",
                           "Expiration": expires})


@pytest.fixture
def cloud():
    running = Cloud()
    yield running
    running.stop()


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    return tmp_path


def listing(cloud, *arguments, **environment):
    """Two signed requests."""
    Tool(cloud.address, *arguments, **environment).ok("s3://bucket", "list")
    return cloud.signers


def test_environment(cloud):
    assert listing(cloud, ("AKIAENV", "s")) == [("AKIAENV", None)] * 2
    assert listing(cloud, ("AKIAENV", "s"), AWS_SESSION_TOKEN="t/+=")[2:] == [("AKIAENV", "t/+=")] * 2


def test_profile(cloud, home):
    (home / ".aws/credentials").write_text("# keys\n[default]\naws_access_key_id = AKIADEF\naws_secret_access_key=s\n"
                                           "[ studio ]\naws_access_key_id=AKIASTUDIO\r\naws_secret_access_key = s=+/ \n"
                                           "aws_session_token=t\n")
    (home / ".aws/config").write_text("[profile config-only]\naws_access_key_id=AKIACONF\naws_secret_access_key=s\n"
                                      "region = eu-west-1\n")
    assert listing(cloud, home=home)[-1] == ("AKIADEF", None)
    assert listing(cloud, home=home, AWS_PROFILE="studio")[-1] == ("AKIASTUDIO", "t")
    assert listing(cloud, home=home, AWS_PROFILE="config-only")[-1] == ("AKIACONF", None)
    missing = Tool(cloud.address, home=home, AWS_PROFILE="nobody").fails("store.credentials", "s3://bucket", "list")
    assert "nobody" in missing.error


def test_region_of_the_profile_is_signed(cloud, home):
    (home / ".aws/config").write_text("[default]\nregion = eu-west-1\n")
    listing(cloud, ("A", "s"), home)
    listing(cloud, ("A", "s"), home, AWS_REGION="ap-south-1")
    assert cloud.regions == ["eu-west-1"] * 2 + ["ap-south-1"] * 2


def web_identity(cloud, home):
    (home / "token").write_text("jwt.1\n")
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/dub",
            "AWS_ENDPOINT_URL_STS": f"http://{cloud.address}/sts"}


def test_web_identity(cloud, home):
    assert listing(cloud, home=home, **web_identity(cloud, home)) == [("STS1", "t&1")] * 2
    form = dict(urllib.parse.parse_qsl(cloud.asked[0][3]))
    assert form == {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleSessionName": "mela",
                    "RoleArn": "arn:aws:iam::1:role/dub", "WebIdentityToken": "jwt.1"}
    assert cloud.asked[0][2]["Content-Type"] == "application/x-www-form-urlencoded"


def test_web_identity_refused(cloud, home):
    cloud.fail.add("/sts")
    tool = Tool(cloud.address, home=home, **web_identity(cloud, home))
    result = tool.fails("store.credentials", "s3://bucket", "list")
    assert "/sts" in result.error and "AccessDenied" in result.error


def test_web_identity_empty_token(cloud, home):
    variables = web_identity(cloud, home)
    (home / "token").write_text("\n")
    result = Tool(cloud.address, home=home, **variables).fails("store.credentials", "s3://bucket", "list")
    assert f"{home / 'token'} is empty" in result.error and not cloud.asked


def test_container(cloud, home):
    """Credentials that end within five minutes are fetched anew, with the token file as it is by then."""
    token = home / "token"
    token.write_text("first\n")
    cloud.expires_in = 200
    cloud.before_answer = lambda: token.write_text("second")
    signers = listing(cloud, home=home, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{cloud.address}/creds",
                      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token))
    assert signers == [("KEY1", "t1"), ("KEY2", "t2")]
    assert [asked[2]["Authorization"] for asked in cloud.asked] == ["first", "second"]


def test_old_credentials_serve_while_new_ones_cannot_be_had(cloud, home):
    cloud.expires_in = 200
    cloud.before_answer = lambda: cloud.fail.add("/creds")
    signers = listing(cloud, home=home, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{cloud.address}/creds",
                      AWS_CONTAINER_AUTHORIZATION_TOKEN="fixed")
    assert signers == [("KEY1", "t1")] * 2 and len(cloud.asked) == 2


def test_container_token_goes_to_no_stranger(cloud, home):
    for url in ("http://example.com/creds", "http://127.0.0.1.example.com/", "http://localhost@example.com/",
                "http://localhost:x@example.com/"):
        tool = Tool(cloud.address, home=home, AWS_CONTAINER_CREDENTIALS_FULL_URI=url,
                    AWS_CONTAINER_AUTHORIZATION_TOKEN="fixed")
        assert "loopback" in tool.fails("store.credentials", "s3://bucket", "list").error


def test_instance_metadata(cloud, home):
    signers = listing(cloud, home=home, AWS_EC2_METADATA_DISABLED="false",
                      AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://{cloud.address}/")
    assert signers == [("KEY3", "t3")] * 2
    assert [(asked[0], asked[1]) for asked in cloud.asked] == [
        ("PUT", "/latest/api/token"), ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", "/latest/meta-data/iam/security-credentials/the-role")]
    assert cloud.asked[0][2]["X-aws-ec2-metadata-token-ttl-seconds"] == "21600"
    assert cloud.asked[2][2]["X-aws-ec2-metadata-token"] == "imds-token"


def test_order(cloud, home):
    everything = web_identity(cloud, home)
    everything |= {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{cloud.address}/creds"}
    assert listing(cloud, home=home, **everything)[-1][0] == "STS1"
    (home / ".aws/credentials").write_text("[default]\naws_access_key_id=AKIADEF\naws_secret_access_key=s\n")
    everything.pop("AWS_ROLE_ARN")
    assert listing(cloud, home=home, **everything)[-1][0] == "AKIADEF"
    assert listing(cloud, ("AKIAENV", "s"), home, **everything)[-1][0] == "AKIAENV"


def test_none(cloud, home):
    result = Tool(cloud.address, home=home).fails("store.credentials", "s3://bucket", "list")
    assert "AWS_ACCESS_KEY_ID" in result.error and cloud.signers == []
