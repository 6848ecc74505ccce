"""Runs the commands of docs/deploy.md. There is no AWS, cluster or container engine here: aws, docker, git and kubectl are stand-ins
that write down what they are asked."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from ..support.paths import BUILD, ROOT

OUTPUTS = {"redis_address": "redis.invalid", "redis_secrets": {user: f"mela-prod/redis/{user}" for user in ("mela-serve", "mela-worker")},
           "registry": "registry.example/mela-prod"}
TOKEN = "0123456789abcdefABCDEF"  # what `aws` prints
STAND_IN = f"""#!/usr/bin/python3
import json, sys
with open(sys.argv[0] + ".log", "a") as log:
    print(json.dumps(sys.argv[1:]), file=log)
if sys.argv[0].endswith(("aws", "git")):
    print("{TOKEN}")
"""

needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")


def commands(page, heading):
    """The shell commands below a heading."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8"), re.S | re.M)[1]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", section, re.S | re.M))


def run(heading, folder):
    """Runs a section of docs/deploy.md in a tree of its own; {stand-in: what it was asked}."""
    tools, prod = folder / "tools", folder / "deploy/terraform/environments/prod"
    tools.mkdir()
    prod.mkdir(parents=True)
    (prod / "outputs.json").write_text(json.dumps(OUTPUTS), encoding="utf-8")
    names = ("aws", "docker", "git", "kubectl")
    for name in names:
        (tools / name).write_text(STAND_IN, encoding="utf-8")
        (tools / name).chmod(0o755)
    done = subprocess.run(["sh", "-euc", commands(ROOT / "docs/deploy.md", heading)], cwd=folder, capture_output=True, text=True,
                          timeout=120, check=False, env={"PATH": f"{tools}:{BUILD}:{os.environ['PATH']}", "HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    logs = {name: tools / f"{name}.log" for name in names}
    return {name: [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
            for name, log in logs.items()}


def secrets(folder):
    """{Secret: {key: value}} that step 6 makes; a file stands for its content."""
    made = {}
    for words in run("6. Secrets", folder)["kubectl"]:
        if "secret" in words:
            literals = [word.removeprefix("--from-literal=").split("=", 1) for word in words if word.startswith("--from-literal=")]
            files = [word.removeprefix("--from-file=") for word in words if word.startswith("--from-file=")]
            made[words[words.index("generic") + 1]] = dict(literals) | {name: f"content of {name}" for name in files}
    return made
