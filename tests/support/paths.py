"""Where things lie. MELA_BUILD names another build directory, from the tree's root or in full."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("MELA_BUILD", "build")
DEPS = ROOT / ".deps"
MEDIA = DEPS / "media"
