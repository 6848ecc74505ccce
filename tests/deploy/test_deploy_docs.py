"""docs/deploy.md: what its commands make is what the chart, mela and deploy/docker want."""
import json
import re
import shlex

import pytest

from . import documented
from .helm_chart import BUILD, ROOT, mela, variant

DOCKER = ROOT / "deploy/docker"

pytestmark = [documented.needs_jq, pytest.mark.skipif(not (BUILD / "mela").exists(), reason="build/mela is not built")]


@pytest.fixture
def secrets(tmp_path):
    return documented.secrets(tmp_path)


def keys_read(item, name):
    """Keys of a Secret that an object reads."""
    if isinstance(item, list):
        return set().union(*(keys_read(part, name) for part in item))
    if not isinstance(item, dict):
        return set()
    own = {item["key"]} if item.get("name") == name and "key" in item else set()
    return own.union(*(keys_read(part, name) for part in item.values()))


def test_the_secrets_have_what_the_chart_reads(secrets):
    for name, read in (("mela-redis", "prod"), ("mela-redis-worker", "redis-users")):
        assert keys_read(variant(read).all, name) == set(secrets[name]) == {"url"}
    assert set(secrets["mela-keys"]) == {"keys.json"}
    address = documented.OUTPUTS["redis_address"]
    assert secrets["mela-redis"]["url"] == f"rediss://mela-serve:{documented.TOKEN}@{address}:6379"
    assert secrets["mela-redis-worker"]["url"] == f"rediss://mela-worker:{documented.TOKEN}@{address}:6379"


def error_for(url, folder):
    """What mela says in a pod with this URL."""
    done = mela("queue", "stats", "--json", cwd=folder, MELA_REDIS=url)
    assert done.returncode != 0
    return json.loads(done.stderr)["error"]


def test_mela_reads_the_url_of_redis(secrets, tmp_path):
    url = secrets["mela-redis"]["url"]
    error = error_for(url, tmp_path)
    without_tls = error["code"] == "queue.config" and "rediss:// needs a hiredis with TLS" in error["message"]
    tried = error["code"] == "queue.unavailable" and f"Redis at {documented.OUTPUTS['redis_address']}: " in error["message"]
    assert without_tls or tried, error
    assert "no valid host and port" in error_for(f"{url}:6379", tmp_path)["message"]


def test_what_a_page_says_of_redis_without_tls_is_what_mela_says():
    said = "rediss:// needs a hiredis with TLS"
    assert said in (ROOT / "src/redis/tls.c").read_text()
    for page in (ROOT / "docs/deploy.md", DOCKER / "README.md"):
        assert f"`{said}`" in page.read_text() and "Debian 13 (trixie)" in page.read_text()


def options(words):
    """What a `docker build` is given but for the tag, and the values of build arguments that name a commit."""
    pairs = [(one, other.split("=")[0] if other.startswith("REVISION=") else other)
             for one, other in zip(words, words[1:]) if one in ("-f", "--target", "--build-arg", "--build-context")]
    return sorted(pairs)


def builds_of_readme():
    """{image: options}"""
    text = (DOCKER / "README.md").read_text().replace("\\\n", " ")
    lines = [shlex.split(line) for line in re.findall(r"^    (docker build .*)$", text, re.M)]
    return {re.search(r"/(mela-[\w-]+):", " ".join(words))[1]: options(words) for words in lines}


def test_step_4_builds_as_deploy_docker_says(tmp_path):
    asked = documented.run("4. Images", tmp_path)["docker"]
    tags = {words[words.index("-t") + 1]: options(words) for words in asked if words[0] == "build"}
    assert [words[1] for words in asked if words[0] == "push"] == list(tags)
    registry = documented.OUTPUTS["registry"]
    readme = builds_of_readme()
    assert tags == {f"{registry}/{image}:{documented.TOKEN}": options for image, options in readme.items() if image != "mela-trainer"}
    text = (DOCKER / "Dockerfile").read_text()
    stages, arguments = set(re.findall(r"^FROM .* AS ([\w-]+)$", text, re.M)), set(re.findall(r"^ARG (\w+)", text, re.M))
    for name, option, value in ((name, *pair) for name, pairs in tags.items() for pair in pairs):
        word = value.split("=")[0]
        assert (ROOT / value).exists() if option == "-f" else word in (arguments if option == "--build-arg" else stages)
        assert option != "--target" or f"/mela-{word}:" in name
