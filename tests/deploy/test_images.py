"""The container images: what their Dockerfiles promise, and the images control and worker-cpu as they are built and run."""
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import jsonschema
import pytest

from ..support.network import free_port
from ..support.once import make_once
from ..support.paths import ROOT
from ..support.redis_server import RedisServer

DOCKER = ROOT / "deploy/docker"
BUILT = ROOT / ".mela/images"
SCHEMAS = ROOT / ".deps/cyclonedx"
TARGETS = {"control": "Dockerfile", "worker-cpu": "Dockerfile", "worker-cuda": "Dockerfile", "trainer": "trainer.Dockerfile"}
LABELS = {f"org.opencontainers.image.{name}" for name in ("title", "description", "version", "revision", "source", "licenses")}
DEADLINE = 60  # seconds; a hang must end, nothing here measures time

sys.path.insert(0, str(DOCKER))
import sbom  # noqa: E402


# --- the Dockerfiles -------------------------------------------------------------------------------------------------


def instructions(name):
    """[(instruction, rest)] of a Dockerfile, without comments, each on one line."""
    text = "\n".join(line for line in (DOCKER / name).read_text().splitlines() if not line.startswith("#"))
    return [tuple(line.split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def stages(name):
    """{stage: [instruction, ...]}, each starting with its FROM; a stage without a name is called as the last part of the file."""
    found, current = {}, None
    for instruction in instructions(name):
        if instruction[0] == "FROM":
            _, _, alias = instruction[1].partition(" AS ")
            current = found.setdefault(alias or name.split(".")[0], [])
        if current is not None:
            current.append(instruction)
    return found


def inherited(name, stage):
    """A stage's instructions after those of the stages that it is from."""
    own = stages(name)[stage]
    parent = own[0][1].split(" AS ")[0]
    return (inherited(name, parent) if parent in stages(name) else []) + own


def values(target, instruction):
    return [rest for kind, rest in inherited(TARGETS[target], target) if kind == instruction]


@pytest.mark.parametrize("name", sorted(set(TARGETS.values())))
def test_a_base_is_an_argument_with_a_pinned_default(name):
    defaults = dict(rest.split("=", 1) for kind, rest in instructions(name) if kind == "ARG" and "=" in rest)
    for stage, lines in stages(name).items():
        base = lines[0][1].split(" AS ")[0]
        assert base in ("${BASE}", "scratch") or base in stages(name), (stage, base)
    repository, _, tag = defaults["BASE"].partition(":")
    assert repository and tag and tag != "latest"


@pytest.mark.parametrize("name", sorted(set(TARGETS.values())))
def test_nothing_is_added_from_elsewhere_and_no_secret_or_proxy_stays(name):
    for kind, rest in instructions(name):
        assert kind != "ADD", rest
        assert kind not in ("RUN", "COPY") or not re.search(r"https?://|curl |wget ", rest), rest
        if kind in ("ARG", "ENV"):
            assert not re.search(r"proxy|password|secret|token|_key", rest, re.I), rest
        if kind == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists" in rest, rest


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_has_labels_a_numeric_user_and_programs_without_a_shell(target):
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', " ".join(values(target, "LABEL"))))
    assert set(labels) == LABELS and labels["org.opencontainers.image.title"] == f"mela-{target}"
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    assert f"VERSION={version}" in values(target, "ARG")
    assert values(target, "USER")[-1] == "65532:65532"
    for kind in ("ENTRYPOINT", "CMD"):
        assert all(isinstance(json.loads(value), list) for value in values(target, kind))
    assert values(target, "ENTRYPOINT")


def test_what_compiles_stays_out_of_the_images():
    for target in ("control", "worker-cpu"):
        lines = inherited("Dockerfile", target)
        assert lines[0] == ("FROM", "scratch AS image") and not any(kind == "RUN" for kind, _ in lines)


def test_the_source_is_compiled_after_everything_that_changes_less():
    kinds = [f"{kind} {rest}" for kind, rest in inherited("Dockerfile", "build")]
    install = next(i for i, line in enumerate(kinds) if "script/setup --build" in line)
    source = kinds.index("COPY . .")
    assert install < source < next(i for i, line in enumerate(kinds) if "meson install" in line)
    assert not any(line.startswith("COPY . ") or "src" in line for line in kinds[:install])


def test_the_context_is_a_list_of_what_may_come_in():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*" and all(line.startswith("!") for line in lines[1:])
    for line in lines[1:]:
        assert list(ROOT.glob(line[1:])), line
        assert not re.match(r"!(\.git|\.deps|\.mela|\*|\.)", line), line


def test_the_packages_that_compile_are_debians():
    listed = re.search(r"^build_packages=\((.*?)\)", (ROOT / "script/setup").read_text(), re.M | re.S)[1].split()
    if not shutil.which("apt-cache"):
        pytest.skip("apt-cache is not here")
    told = subprocess.run(["apt-cache", "policy", *listed], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: [^(\s]", told, re.M))
    if "libc6-dev" not in known:
        pytest.skip("apt-cache has no lists here")
    assert known == set(listed)


# --- the bill of materials -------------------------------------------------------------------------------------------


def no_more_items(validator, allowed, instance, schema):
    """Debian 12's own check fails over the objects that it wants to name."""
    if not allowed and isinstance(schema.get("items"), list) and len(instance) > len(schema["items"]):
        yield jsonschema.ValidationError("there are too many items")


def validate(document):
    """Against the schema of CycloneDX 1.6, which names two more schemas."""
    names = [f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82")]
    schemas = {f"http://cyclonedx.org/schema/{name}": json.loads((SCHEMAS / name).read_text()) for name in names}
    main = schemas[f"http://cyclonedx.org/schema/{names[0]}"]
    resolver = jsonschema.RefResolver.from_schema(main, store=schemas)
    draft = jsonschema.validators.extend(jsonschema.Draft7Validator, {"additionalItems": no_more_items})
    draft(main, resolver=resolver).validate(document)


def test_a_bill_is_cyclonedx_and_the_same_for_the_same_parts():
    version = {"version": "0.1.0", "onnxruntime": "1.29.0"}
    components = sbom.debian_components({"libc6", "ca-certificates"}) + sbom.runtime_components(version, ROOT / ".deps/onnxruntime") \
        + sbom.model_components(ROOT / "models", ROOT / ".deps/models")
    document = sbom.document("mela-worker", version, components)
    validate(document)
    assert document == sbom.document("mela-worker", version, components)
    assert document["serialNumber"] != sbom.document("mela-worker", version, components[1:])["serialNumber"]
    libc = next(component for component in components if component["name"] == "libc6")
    assert re.fullmatch(r"pkg:deb/(debian|ubuntu)/libc6@[\w.%-]+\?arch=\w+&distro=\w+-[\w.]+", libc["purl"])
    assert any(component["name"] == "lips-basic" and component["hashes"] for component in components)
    document["components"][0]["type"] = "nonsense"
    with pytest.raises(jsonschema.ValidationError):
        validate(document)


# --- the images as built ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What script/images --demo prints: it builds both images and dubs with them. Once, however many pytests there are."""
    if os.getuid() != 0:
        pytest.skip("building an image needs root")
    for tool in ("buildah", "mmdebstrap", "unshare"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not here")

    def build(folder):
        done = subprocess.run([ROOT / "script/images", "--demo"], capture_output=True, text=True, timeout=850, check=False)
        (folder / "printed").write_text(done.stdout if done.returncode == 0 else f"FAILED\n{done.stderr[-3000:]}{done.stdout[-2000:]}")

    printed = make_once(tmp_path_factory, "images", build) / "printed"
    assert not printed.read_text().startswith("FAILED"), printed.read_text()
    return printed.read_text()


def start(image, *arguments, user=65532, program=None, **options):
    program = program or {"control": "mela", "worker-cpu": "mela-worker"}[image]
    settings = [argument for argument in arguments if isinstance(argument, tuple)]
    words = [str(argument) for argument in arguments if not isinstance(argument, tuple)]
    return subprocess.Popen([DOCKER / "contain", "--user", str(user), BUILT / image, *("".join(map(str, s)) for s in settings),
                             "--", f"/usr/bin/{program}", *words], text=True, **options)


def run(image, *arguments, **options):
    process = start(image, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    output, errors = process.communicate(timeout=DEADLINE)
    return process.returncode, output, errors


def test_the_demo_passes_from_the_images(demo):
    assert demo.count("the lips follow") == 3, demo
    sizes = {image: float(unpacked) for image, unpacked in re.findall(r"^(\S+) .* ([\d.]+) MB unpacked", demo, re.M)}
    assert sizes["control"] <= 100 and sizes["worker-cpu"] <= 400


@pytest.mark.parametrize("image", ["control", "worker-cpu"])
def test_an_image_is_its_program_and_libraries_alone(demo, image):
    root = BUILT / image
    assert [path.name for path in (root / "usr/bin").iterdir()] == [{"control": "mela", "worker-cpu": "mela-worker"}[image]]
    assert not any((root / folder).exists() for folder in ("bin", "sbin", "usr/sbin", "root", "home", "mela", "var/cache"))
    for path in root.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID), path
    for link in ("lib", "lib64"):
        assert os.readlink(root / link) == f"usr/{link}"


@pytest.mark.parametrize("image", ["control", "worker-cpu"])
def test_an_images_settings_are_the_dockerfiles(demo, image):
    settings = json.loads((BUILT / f"{image}.json").read_text())["Docker"]["config"]
    assert settings["User"] == "65532:65532" and set(settings["Labels"]) >= LABELS
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    assert settings["Labels"]["org.opencontainers.image.revision"] == head
    assert settings["Entrypoint"][0].startswith("/usr/bin/mela") and not any("proxy" in word.lower() for word in settings["Env"])


@pytest.mark.parametrize("image", ["control", "worker-cpu"])
def test_an_images_bill_names_every_package_and_goes_along_with_it(demo, image):
    document = json.loads((BUILT / f"{image}.cdx.json").read_text())
    validate(document)
    assert document == json.loads((BUILT / image / "usr/share/mela/sbom.cdx.json").read_text())
    records = {path.name for path in (BUILT / image / "var/lib/dpkg/status.d").iterdir()}
    named = {component["name"] for component in document["components"] if component.get("purl", "").startswith("pkg:deb/")}
    assert named == records >= {"libc6", "ca-certificates"}
    assert ("onnxruntime" in {component["name"] for component in document["components"]}) == (image == "worker-cpu")


def test_control_serves_as_any_user_tells_its_health_and_ends_at_sigterm(demo, tmp_path):
    user = 12345
    for folder in ("keys", "store"):
        (tmp_path / folder).mkdir()
        os.chown(tmp_path / folder, user, user)
    redis = RedisServer(tmp_path / "redis", address="127.0.0.1").start()
    keys = (tmp_path / "keys", ":/etc/mela/keys")
    status, key, errors = run("control", keys, "keys", "add", "test", "--keys", "/etc/mela/keys/keys.json", user=user)
    assert status == 0 and key.strip(), errors
    url = f"http://127.0.0.1:{(listen := free_port())}"
    server = start("control", keys, ("MELA_STORE=", "file:///store"), ("MELA_REDIS=", redis.url),
                   (tmp_path / "store", ":/store"), "serve", "--listen", f"127.0.0.1:{listen}", "--keys",
                   "/etc/mela/keys/keys.json", user=user, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + DEADLINE
        while run("control", "health", f"{url}/readyz")[0] != 0:
            assert server.poll() is None and time.monotonic() < end
        status, listed, errors = run("control", ("MELA_ADDRESS=", url), ("MELA_KEY=", key.strip()), "list", "--json")
        assert status == 0 and json.loads(listed) == [], errors
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(DEADLINE)
        redis.stop()
    assert status == 0
    assert run("control", "health", f"{url}/readyz")[0] == 3


def test_control_knows_time_zones_and_the_worlds_authorities_not_the_builders_own(demo):
    assert (BUILT / "control/usr/share/zoneinfo/Asia/Kolkata").exists()
    bundle = (BUILT / "control/etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 100
    for path in pathlib.Path("/usr/local/share/ca-certificates").rglob("*.crt"):
        assert path.read_text().strip() not in bundle, path


def test_the_worker_finds_its_manifests_and_computes_as_any_user(demo):
    status, listed, errors = run("worker-cpu", "models", "list", "--json", "--models", "/models", user=12345)
    assert status == 0 and {model["name"] for model in json.loads(listed)} >= {"lips-basic", "face-mesh"}, errors
    weights = (ROOT / ".deps/models", ":/models:ro")
    status, report, errors = run("worker-cpu", weights, "check", "--device", "cpu", "--json", "--models", "/models", user=12345)
    assert status == 0 and json.loads(report)["healthy"], (report, errors)
