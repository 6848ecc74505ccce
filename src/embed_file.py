#!/usr/bin/python3
"""Writes a C header that holds a text file as a string, so that a program needs no file beside it.

usage: embed_file.py FILE HEADER     defines `static const char NAME[]`, NAME being that of HEADER without `.h`
"""
import pathlib
import sys


def literal(line):
    """The line as a C string; `?` is escaped because `??` may begin a trigraph."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("?", "\\?"), ("\n", "\\n")):
        line = line.replace(plain, escaped)
    return f'    "{line}"\n'


def main():
    source, header = map(pathlib.Path, sys.argv[1:])
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    header.write_text(f"#pragma once\n\nstatic const char {header.stem}[] =\n{''.join(map(literal, lines)).rstrip()};\n",
                      encoding="utf-8")


if __name__ == "__main__":
    main()
