"""models/build: the manifests, the hashes, what is skipped and what is refused."""
import hashlib
import json
import shutil
import subprocess

import pytest

from ..support.paths import ROOT

MODELS = ROOT / "models"
MANIFESTS = sorted(path for path in MODELS.glob("*.json") if path.stem != "shapes")  # that is a folder


def build(directory, downloads, out, *arguments):
    return subprocess.run(["/usr/bin/python3", directory / "build", "--downloads", downloads, "--out", out, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_manifest_says_what_is_needed(path):
    manifest = json.loads(path.read_text())
    assert {"name", "role", "file", "sha256", "bytes", "licence", "source", "memory_mb", "contract"} <= set(manifest)
    assert manifest["name"] == path.stem
    assert manifest["role"] in ("detect", "mesh", "lips", "enhance")
    for tensor in manifest["contract"]["inputs"] + manifest["contract"]["outputs"]:
        assert {"name", "shape", "type", "layout"} <= set(tensor)
    assert manifest.get("benchmark_only", False) == manifest["name"].endswith("-random")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_file_is_the_pinned_one(path, model):
    manifest, data = json.loads(path.read_text()), model(path.stem).read_bytes()
    assert len(data) == manifest["bytes"]
    assert hashlib.sha256(data).hexdigest() == manifest["sha256"]


def test_builds_again_the_same_and_skips_what_is_there(downloads, tmp_path):
    small = [word for name in ("blazeface-128", "face-mesh", "lips-basic", "realesrgan-fast") for word in ("--only", name)]
    first = build(MODELS, downloads, tmp_path, *small)
    assert first.returncode == 0, first.stderr
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert len(files) == 4
    (tmp_path / "lips-basic.onnx").write_bytes(b"torn")
    second = build(MODELS, downloads, tmp_path, *small)
    assert second.stdout.count("already there") == 3
    changed = {p.name for p in tmp_path.iterdir() if p.stat().st_mtime_ns != files[p.name]}
    assert changed == {"lips-basic.onnx"}


def test_a_folder_is_copied_as_its_manifest_says(tmp_path):
    """Once: a file that is there already is left alone, one that is torn is copied anew, and one that the manifest does not know as it
    is in the tree is refused."""
    manifest = json.loads((MODELS / "shapes.json").read_text())
    assert manifest["name"] == "shapes" and manifest["role"] == "image"
    for _ in range(2):
        assert build(MODELS, tmp_path, tmp_path / "out", "--only", "shapes").returncode == 0
        for file in manifest["files"]:
            data = (tmp_path / "out/shapes" / file["path"]).read_bytes()
            assert len(data) == file["bytes"] and hashlib.sha256(data).hexdigest() == file["sha256"]
        (tmp_path / "out/shapes/model_index.json").write_bytes(b"torn")
    copy = tmp_path / "models"
    shutil.copytree(MODELS, copy)
    (copy / "shapes/model/model_index.json").write_text("{}")
    failed = build(copy, tmp_path, tmp_path / "again", "--only", "shapes")
    assert failed.returncode != 0 and "is not what its manifest says" in failed.stderr


def test_a_missing_package_is_named(tmp_path):
    failed = build(MODELS, tmp_path, tmp_path / "out", "--only", "face-mesh")
    assert failed.returncode != 0
    assert "mediapipe-face_mesh" in failed.stderr and "Traceback" not in failed.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_wrong_hash_is_refused(downloads, tmp_path):
    copy = tmp_path / "models"
    shutil.copytree(MODELS, copy)
    manifest = json.loads((copy / "lips-basic.json").read_text())
    (copy / "lips-basic.json").write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    failed = build(copy, downloads, tmp_path / "out", "--only", "lips-basic")
    assert failed.returncode != 0 and "its manifest says" in failed.stderr
    assert not list((tmp_path / "out").iterdir())
