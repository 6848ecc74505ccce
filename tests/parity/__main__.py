"""usage: python -m tests.parity [--json]      see script/parity"""
import argparse
import importlib.util
import itertools
import json
import pathlib
import platform
import sys
import tempfile

from importlib.metadata import version

PACKAGES = "torch", "diffusers", "transformers", "peft", "safetensors"
SKIPPED = 77


def be_quiet():
    import diffusers
    import transformers
    for library in diffusers, transformers:
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def all_rows(scratch):
    from . import loras, mela, pictures, tables, words
    tiny, half = mela.make_model(scratch / "tiny"), mela.make_model(scratch / "half", dtype="float16", vae_dtype="float32")
    return itertools.chain(words.rows(), tables.rows(tiny / "scheduler/scheduler_config.json"), pictures.rows(tiny, scratch),
                           pictures.half_rows(half, scratch), loras.rows(tiny, scratch))


def print_row(row):
    print(f"{'' if row.passed else 'DIFFERS  '}{row.what}: {row.difference:.2g} of at most {row.bound:g}, {row.count:,} compared"
          + (f" ({row.note})" if row.note else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="script/parity")
    parser.add_argument("--json", action="store_true", help="one object instead of lines")
    as_json = parser.parse_args().json
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        print(f"skipped: there is no {', '.join(missing)}; script/setup --parity installs them", file=sys.stderr)
        return SKIPPED
    be_quiet()
    versions = {name: version(name) for name in PACKAGES}
    rows = []
    with tempfile.TemporaryDirectory(prefix="mela-parity.") as scratch:
        for row in all_rows(pathlib.Path(scratch)):
            rows.append(row)
            if not as_json:
                print_row(row)
    if as_json:
        print(json.dumps({"versions": {"python": platform.python_version(), **versions}, "rows": [{**vars(row), "passed": row.passed} for row in rows]}))
    else:
        print(f"{sum(row.passed for row in rows)} the same, {sum(not row.passed for row in rows)} not; "
              + ", ".join(f"{name} {number}" for name, number in versions.items()))
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
