"""script/parity, where what it compares with is installed: that is not in script/test's set-up, since it is 6 GB."""
import json
import os
import subprocess

import pytest

from ..support.paths import DEPS, ROOT

PYTHON = os.path.join(os.environ.get("MELA_DEPS", DEPS), "parity/bin/python")


def test_what_is_not_installed_is_named():
    done = subprocess.run(["/usr/bin/python3", "-S", "-m", "tests.parity"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 77 and done.stderr.startswith("skipped: there is no torch, diffusers, transformers, peft, safetensors;")


@pytest.mark.skipif(not os.path.exists(PYTHON), reason="diffusers is not installed: script/setup --parity")
def test_mela_is_as_diffusers(tmp_path):
    done = subprocess.run([PYTHON, "-W", "ignore", "-m", "tests.parity", "--json"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1", "TMPDIR": str(tmp_path)})
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row for row in rows if not row["passed"]] == [] and done.returncode == 0
    assert len(rows) > 40
