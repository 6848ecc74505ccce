"""The command line without a farm: help, mistakes, exit statuses, settings."""
import json
import re
import stat
import subprocess

import pytest

from ..support.paths import BUILD, ROOT

COMMANDS = ["up", "serve", "submit", "imagine", "recover", "queue", "watch", "list", "show", "get", "cancel", "retry", "dead", "trace", "models", "doctor",
            "workers", "health", "keys add", "keys revoke", "config", "scale desired", "scale hold", "scale resume", "simulate", "version",
            "completion"]


def test_without_a_command_the_commands_are_listed(mela):
    done = mela()
    assert done.returncode == 2
    assert sorted(re.findall(r"^  (\w+(?: \w+)?)  ", done.stdout, re.M)) == sorted(COMMANDS)
    assert mela("--help").returncode == 0


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "models"])
def test_help_has_an_example_and_every_option_does_what_it_says(mela, command):
    done = mela(*command.split(), "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert "Example" in done.stdout and f"mela {command}" in done.stdout and "--json" in done.stdout


def test_docs_name_every_command_and_option(mela):
    page = (ROOT / "docs" / "cli.md").read_text()
    for command in COMMANDS:
        assert f"mela {command}" in page, command
        for option in re.findall(r"^\s+(?:-\w, )?--([\w-]+)", mela(*command.split(), "--help").stdout, re.M):
            assert f"--{option}" in page, (command, option)


@pytest.mark.parametrize("arguments", [
    ("frob",), ("list", "--frob"), ("list", "extra"), ("list", "--limit"), ("list", "--limit", "x"), ("list", "--limit", "0"),
    ("list", "--json=1"), ("show",), ("watch",), ("get",), ("cancel",), ("retry",), ("trace", "--last", "x"), ("submit",),
    ("submit", "--video", "a.mp4"), ("submit", "--video", "a.mp4", "--dub", "hi"), ("submit", "--video", "a.mp4", "--dub", "=x"),
    ("submit", "--video", "a.mp4", "--dub", "hi=a", "--quality", "52"),
    ("submit", "--video", "a.mp4", "--dub", "hi=a", "--speaker", "0.1"),
    ("submit", "--video", "a.mp4", "--dub", "hi=a", "--speaker", "0.1,0.2,x"),
    ("submit", "spec.json", "--video", "a.mp4"), ("up", "--port", "65536"), ("completion", "fish"),
    ("serve", "--redis", "redis://localhost"),
])
def test_wrong_usage_is_told_once_and_exits_2(mela, arguments):
    mela.error(2, "usage", *arguments)
    done = mela(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"mela: .+ \[usage\]\n", done.stderr), done.stderr


def test_arguments_that_are_no_text_are_refused():
    done = subprocess.run([BUILD / "mela", b"show", b"\xff\xfe"], capture_output=True)
    assert done.returncode == 2 and b"UTF-8" in done.stderr


def test_a_farm_that_does_not_answer_exits_3(mela):
    for command in (["list"], ["dead"], ["show", "x"], ["watch", "x"], ["cancel", "x"], ["get", "x"], ["trace", "x"], ["workers"]):
        error = mela.error(3, "api.unreachable", *command, "--address", "http://127.0.0.1:1")
        assert "mela up" in error["message"]


def test_without_a_home_a_farm_elsewhere_is_found_and_only_what_needs_one_asks_for_it(mela):
    del mela.environment["HOME"]
    assert "mela up" in mela.error(3, "api.unreachable", "list", "--address", "http://127.0.0.1:1")["message"]
    assert "--data" in mela.error(2, "usage", "up")["message"]
    worker = subprocess.run([BUILD / "mela-worker", "run", "--models", mela.folder, "--work", mela.folder, "--store", "oops"],
                            cwd=mela.folder, env=mela.environment, capture_output=True, text=True, timeout=60)
    assert worker.returncode != 0 and "oops" in worker.stderr and "HOME" not in worker.stderr


def test_health_is_a_server_that_answers_with_200(farm):
    address = (farm.data / "address").read_text().strip()
    done = farm("health", f"{address}/readyz")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert farm.json("health", f"{address}/healthz") == {"healthy": True}
    assert "status 404" in farm.error(3, "api.unreachable", "health", f"{address}/nothing")["message"]
    assert "no answer" in farm.error(3, "api.unreachable", "health", "http://127.0.0.1:1/healthz")["message"]


def test_files_that_are_missing_are_named(mela):
    assert "nothing.json" in mela.error(1, "io", "submit", "nothing.json")["message"]
    assert "nothing.mp4" in mela.error(1, "io", "submit", "--video", "nothing.mp4", "--dub", "hi=x.wav")["message"]
    assert "no-key" in mela.error(1, "io", "list", "--key-file", "no-key")["message"]


def test_a_spec_that_is_no_json_gives_line_and_column(mela):
    (mela.folder / "spec.json").write_text('{"name":\n oops}')
    error = mela.error(2, "json.invalid", "submit", "spec.json")
    assert "spec.json" in error["message"] and "line 2" in error["message"]


def test_settings_come_from_flags_then_environment_then_file_then_defaults(mela):
    def settings(*arguments, **environment):
        done = mela("config", "--json", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return {s["name"]: (s["value"], s["source"]) for s in json.loads(done.stdout)}

    assert settings()["address"] == ("http://127.0.0.1:7420", "default")
    (mela.folder / "farm.json").write_text('{"address": "http://file", "key": "secret"}')
    assert settings()["address"] == ("http://file", "farm.json")
    assert settings()["key"][0] == "(set)"
    assert settings(MELA_ADDRESS="http://env")["address"] == ("http://env", "MELA_ADDRESS")
    assert settings("--address", "http://flag", MELA_ADDRESS="http://env")["address"] == ("http://flag", "--address")


def test_a_wrong_setting_is_named(mela):
    (mela.folder / "farm.json").write_text('{"colour": "x"}')
    assert "colour" in mela.error(2, "config.invalid", "list")["message"]
    (mela.folder / "farm.json").write_text('{}')
    assert "MELA_WORKERS" in mela.error(2, "config.invalid", "up", MELA_WORKERS="many")["message"]
    serve = ("serve", "--redis", "redis://127.0.0.1:1", "--store", f"file://{mela.folder}/store", "--keys", mela.folder / "keys.json")
    assert "namespace" in mela.error(2, "config.invalid", *serve, "--emf", ":no namespace")["message"]


def test_version(mela):
    version = mela.json("version")
    assert version["program"] == "mela"
    assert mela("--version").stdout == f"mela {version['version']}\n"


def test_completion_completes_commands_and_options(mela):
    script = mela("completion", "bash").stdout
    ask = script + """
COMP_WORDS=(mela %s); COMP_CWORD=%d; _mela; printf '%%s\\n' "${COMPREPLY[@]}"
"""
    def complete(words, at):
        return subprocess.run(["bash", "-c", ask % (words, at)], capture_output=True, text=True, check=True).stdout.split()

    assert complete("su", 1) == ["submit"]
    assert complete("submit --seg", 2) == ["--segment-seconds"]
    assert set(complete("sc", 1)) == {"scale"}
    assert complete("scale h", 2) == ["hold"]
    assert complete("scale hold --un", 3) == ["--until"]
    assert complete("queue ch", 2) == ["check"]
    assert complete("simulate --h", 2) == ["--html", "--help"]


def test_completion_of_the_worker_completes_models_for_mela_too(mela):
    mela.environment["PATH"] = f"{BUILD}:{mela.environment['PATH']}"

    def complete(function, words, at):
        ask = f"""source <({function.lstrip("_").replace("_", "-")} completion bash)
COMP_WORDS=({words}); COMP_CWORD={at}; {function}; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, env=mela.environment).stdout.split()

    assert complete("_mela_worker", "mela-worker ru", 1) == ["run"]
    assert complete("_mela_worker", "mela-worker run --idle", 2) == ["--idle-exit-ms"]
    assert complete("_mela_worker", "mela-worker check --cordon-", 2) == ["--cordon-most"]
    assert complete("_mela_worker", "mela-worker check sync --orig", 3) == ["--original"]
    for program in ("mela", "mela-worker"):
        function = "_" + program.replace("-", "_")
        assert complete(function, f"{program} models pul", 2) == ["pull"]
        assert complete(function, f"{program} models add --na", 3) == ["--name"]
        assert complete(function, f"{program} models add im", 3) == ["image"]
        assert complete(function, f"{program} mod", 1)[0] == "models"


def test_what_another_program_does_is_told_as_mela(mela):
    help = mela("simulate", "--help")
    assert help.returncode == 0 and help.stdout.startswith("Usage: mela simulate [OPTION...] SCENARIO.json\n"), help.stdout
    assert mela("simulate").stdout == help.stdout
    assert "mela-worker" not in mela("models").stdout and "mela COMMAND" in mela("models").stdout
    assert mela("simulate", "nothing.json").stderr.startswith("mela: ")
    assert "see mela models check --help" in mela("models", "check", "--frob").stderr
    direct = subprocess.run([BUILD / "mela-simulate", "simulate", "--help"], capture_output=True, text=True, timeout=60)
    assert direct.stdout.startswith("Usage: mela-simulate simulate "), direct.stdout


def test_mela_links_no_media_and_no_inference():
    linked = subprocess.run(["ldd", BUILD / "mela"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"libav|libsw|onnxruntime", linked)


def test_models_are_the_workers_business(mela):
    done = mela("models")
    assert done.returncode == 0 and "models add" in done.stdout
    done = mela("models", "list", "--json", "--models", mela.folder, "--manifests", ROOT / "models")
    models = {m["name"]: m for m in json.loads(done.stdout)}
    assert models["face-mesh"]["role"] == "mesh" and not models["face-mesh"]["present"]
    done = mela("models", "check", "frob", "--manifests", ROOT / "models")
    assert done.returncode == 4 and "[model.not_found]" in done.stderr


def test_models_go_through_the_store(mela):
    weights = ROOT / ".deps" / "models" / "face-mesh.onnx"
    if not weights.exists():
        pytest.skip("face-mesh is not there; script/setup makes it")
    store = f"file://{mela.folder}/store"
    common = ("face-mesh", "--manifests", ROOT / "models", "--store", store)
    assert mela("models", "pull", *common, "--models", "here").returncode == 4
    assert mela("models", "push", *common, "--models", weights.parent).returncode == 0
    done = mela("models", "pull", *common, "--models", "here")
    assert done.returncode == 0, done.stderr
    assert (mela.folder / "here" / "face-mesh.onnx").read_bytes() == weights.read_bytes()
    kept = next((mela.folder / "store" / "models").rglob("face-mesh.onnx"))
    kept.chmod(kept.stat().st_mode | stat.S_IWUSR)
    kept.write_bytes(b"not the weights")
    (mela.folder / "here" / "face-mesh.onnx").unlink()
    done = mela("models", "pull", *common, "--models", "here")
    assert "[model.hash_mismatch]" in done.stderr and list((mela.folder / "here").iterdir()) == []


def test_the_s3_endpoint_of_the_settings_reaches_the_store(mela):
    (mela.folder / "farm.json").write_text('{"s3_endpoint": "http://127.0.0.1:1", "store": "s3://bucket"}')
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    found = {f["check"]: f for f in json.loads(mela("doctor", "--json", **keys).stdout)}
    assert found["store"]["result"] == "fail" and "127.0.0.1" in found["store"]["message"]


def test_the_s3_endpoint_reaches_the_api_and_a_worker(mela):
    endpoint = ("--store", "s3://bucket", "--s3-endpoint", "ftp://oops")
    mela("keys", "add", "a", "--keys", "keys.json")
    done = mela("serve", "--redis", "redis://127.0.0.1:1", "--keys", "keys.json", "--listen", "127.0.0.1:0", *endpoint)
    assert done.returncode != 0 and "ftp://oops" in done.stderr, done.stderr
    for arguments in (["run", "--models", mela.folder, "--work", mela.folder], ["models", "push", "face-mesh", "--manifests", ROOT / "models"]):
        done = subprocess.run([BUILD / "mela-worker", *arguments, *endpoint], cwd=mela.folder, env=mela.environment,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "ftp://oops" in done.stderr, (arguments, done.stderr)
