"""A CycloneDX 1.6 bill of materials: Debian's packages by dpkg, ONNX Runtime by script/packages.lock, weights by their manifests."""
import base64
import hashlib
import json
import pathlib
import platform
import re
import subprocess
import urllib.parse
import uuid

LOCK = pathlib.Path(__file__).resolve().parents[2] / "script/packages.lock"
FIELDS = ("binary:Package", "Version", "Architecture", "Maintainer", "Homepage")


def licences(copyright_file):
    """The licences' short names as a machine-readable copyright file has them; they are Debian's, not SPDX's."""
    text = copyright_file.read_text(errors="replace") if copyright_file.exists() else ""
    if not text.startswith("Format:"):
        return []
    return sorted({name.strip() for name in re.findall(r"^License:[ \t]*(\S.*)$", text, re.M)})


def debian_component(fields, system):
    name = fields["binary:Package"].split(":")[0]
    purl = (f"pkg:deb/{system['ID']}/{urllib.parse.quote(name)}@{urllib.parse.quote(fields['Version'], safe=':')}"
            f"?arch={fields['Architecture']}&distro={system['ID']}-{system.get('VERSION_ID', 'testing')}")
    component = {"type": "library", "bom-ref": purl, "name": name, "version": fields["Version"], "purl": purl,
                 "supplier": {"name": fields["Maintainer"]}}
    if names := licences(pathlib.Path("/usr/share/doc", name, "copyright")):
        component["licenses"] = [{"license": {"name": name}} for name in names]
    return component


def debian_components(packages):
    wanted = "\\t".join(f"${{{field}}}" for field in FIELDS) + "\\n"
    lines = subprocess.run(["dpkg-query", "-W", "-f", wanted, *sorted(packages)], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    system = platform.freedesktop_os_release()
    return [debian_component(dict(zip(FIELDS, line.split("\t"))), system) for line in lines]


def sha256(path):
    return {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}


def runtime_components(version, folder):
    """ONNX Runtime: the package of the lock, unless the folder is an official release, which says so itself."""
    component = {"type": "library", "bom-ref": "onnxruntime", "name": "onnxruntime", "version": version["onnxruntime"],
                 "licenses": [{"license": {"id": "MIT"}}],
                 "hashes": [sha256((folder / "lib/libonnxruntime.so.1").resolve())]}
    if not (folder / "VERSION_NUMBER").exists():
        row = next(line.split() for line in LOCK.read_text().splitlines() if line.startswith("onnxruntime "))
        archive = base64.b64decode(row[3].removeprefix("sha512-")).hex()
        component["purl"] = f"pkg:npm/{row[1]}@{row[2]}"
        component["externalReferences"] = [{"type": "distribution", "url": component["purl"],
                                            "hashes": [{"alg": "SHA-512", "content": archive}]}]
    return [component]


def model_sum(model):
    """The hash of its file, or of the lines that sha256sum prints of its files, as src/model/zoo.h has it."""
    lines = "".join(f"{file['sha256']}  {file['path']}\n" for file in model.get("files", []))
    return model.get("sha256") or hashlib.sha256(lines.encode()).hexdigest()


def model_components(manifests, folder):
    """The weights that are in the folder: a model is a file, or a folder of its name."""
    known = [json.loads(path.read_text()) for path in sorted(manifests.glob("*.json"))]
    return [{"type": "machine-learning-model", "bom-ref": f"model/{model['name']}", "name": model["name"],
             "version": model_sum(model)[:12], "description": model["source"],
             "licenses": [{"license": {"name": model["licence"]}}],
             "hashes": [{"alg": "SHA-256", "content": model_sum(model)}]}
            for model in known if (folder / model.get("file", model["name"])).exists()]


def document(program, version, components):
    """The same parts give the same document, number and all."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([program, version, components], sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{number}", "version": 1,
            "metadata": {"component": {"type": "application", "bom-ref": program, "name": program,
                                       "version": version["version"], "licenses": [{"license": {"id": "Apache-2.0"}}]}},
            "components": components,
            "dependencies": [{"ref": program, "dependsOn": [component["bom-ref"] for component in components]}]}
