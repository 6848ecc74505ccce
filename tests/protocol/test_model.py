"""The protocol's models under spin: no error, and every seeded fault is found, so that "no error" means something."""
import pathlib
import re
import subprocess

import pytest

LEASE, SHEET = (pathlib.Path(__file__).with_name(name) for name in ("queue.pml", "sheet.pml"))


def spin(folder, model, check, *defines):
    """Errors and states of an exhaustive search; `check` is "safety" or "progress"."""
    run = {"cwd": folder, "check": True, "capture_output": True, "text": True, "timeout": 300}
    subprocess.run(["spin", *(f"-D{define}" for define in defines), "-a", model], **run)
    options = ["-DNOCLAIM", "-DSAFETY"] if check == "safety" else ["-DNFAIR=6"]
    subprocess.run(["gcc", "-O2", "-w", *options, "-o", "pan", "pan.c"], **run)
    search = ["-m100000"] if check == "safety" else ["-m1000000", "-a", "-f", "-N", "progress"]
    done = subprocess.run(["./pan", *search], cwd=folder, capture_output=True, text=True, timeout=300)
    assert "max search depth too small" not in done.stdout, done.stdout
    errors, states = (int(re.search(pattern, done.stdout)[1]) for pattern in (r"errors: (\d+)", r"(\d+) states, stored"))
    return errors, states, done.stdout


@pytest.mark.parametrize("check, claims", [("safety", 4), ("progress", 3)])
def test_the_protocol_keeps_its_promises(tmp_path, check, claims):
    errors, states, output = spin(tmp_path, LEASE, check, f"CLAIMS_MAX={claims}")
    assert errors == 0, output
    assert states > 10_000


@pytest.mark.parametrize("check, fault", [
    ("safety", "NO_FENCE"), ("safety", "ATTEMPT_ONLY"), ("safety", "BLIND_RECOVER"), ("safety", "EARLY_RECEIPT"),
    ("safety", "LATE_RECEIPT"),
    ("progress", "NO_EXPIRY"), ("progress", "LOSE_JOB")])
def test_a_seeded_fault_is_found(tmp_path, check, fault):
    errors, _, output = spin(tmp_path, LEASE, check, "CLAIMS_MAX=3", fault)
    assert errors > 0, output


def test_sheets_show_what_there_is_and_every_campaign_of_pictures_ends(tmp_path):
    errors, states, output = spin(tmp_path, SHEET, "safety")
    assert errors == 0, output
    assert states > 1000


@pytest.mark.parametrize("fault", ["NO_COUNT_UP", "LEASED_READY", "OPEN_ONLY", "NO_CANCEL", "NO_COUNT_DOWN", "BLIND_SETTLE"])
def test_a_seeded_fault_of_sheets_is_found(tmp_path, fault):
    errors, _, output = spin(tmp_path, SHEET, "safety", fault)
    assert errors > 0, output
