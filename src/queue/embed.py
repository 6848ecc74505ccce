#!/usr/bin/python3
"""Writes scripts.c and scripts.h: each Lua script with its includes, its comments taken out, and its SHA-1 (its name in
EVALSHA). A line `-- include: NAME` is replaced, once a script, by lib/NAME.lua. `-- on demand: NAME` makes of it a
function NAME() that returns a table of its functions: to define a function costs every run of a script, so what a script
seldom needs it defines only then. `-- defaults: NAME` becomes a table of farm/kinds.def. With --test-clock as
the last argument the scripts take the time from the key test_clock, so that tests can move it."""
import hashlib, os, re, sys

out_c, out_h, *sources = sys.argv[1:]
test_clock = sources[-1] == "--test-clock" and sources.pop()


def on_demand(name, lines):
    functions = [m[1] for m in (re.match(r"local function (\w+)", line) for line in lines) if m]
    exports = ", ".join(f"{f} = {f}" for f in functions)
    return [f"local function {name}()\n", *lines, f"return {{{exports}}}\n", "end\n"]


def defaults(name):
    path = os.path.join(os.path.dirname(sources[0]), "..", "..", "farm", "kinds.def")
    rows = re.findall(r'^KIND\(\w+, *"(\w+)".*?((?:, *\d+)+)\)', open(path, encoding="utf-8").read(), re.MULTILINE)
    table = ", ".join(f"{kind} = '{' '.join(re.findall(r'[0-9]+', limits))}'" for kind, limits in rows)
    return f"local {name} = {{{table}}}\n"


def expand(path, seen):
    lines = []
    for line in open(path, encoding="utf-8"):
        include = re.fullmatch(r"-- (include|on demand): (\w+)\n", line)
        if include and include[2] not in seen:
            seen.add(include[2])
            # What is included inside a function is not there outside of it.
            inside = seen if include[1] == "include" else set(seen)
            text = expand(os.path.join(os.path.dirname(sources[0]), "lib", include[2] + ".lua"), inside)
            lines += text if include[1] == "include" else on_demand(include[2], text)
        elif line.lstrip().startswith("-- defaults: "):
            lines.append(defaults(line.split()[2]))
        elif test_clock and line.startswith("local now ="):
            lines.append("local now = tonumber(call('GET', P .. 'test_clock'))\n")
        elif not line.lstrip().startswith("--") and line.strip():
            lines.append(line)
    return lines


def literal(lines):
    return "\n".join('    "%s\\n"' % l.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"') for l in lines)


with open(out_c, "w", encoding="utf-8") as c, open(out_h, "w", encoding="utf-8") as h:
    h.write('#pragma once\n\n#include "redis/redis.h"\n\n')
    c.write('#include "scripts.h"\n')
    for source in sources:
        name = os.path.splitext(os.path.basename(source))[0]
        lines = expand(source, set())
        sha1 = hashlib.sha1("".join(lines).encode()).hexdigest()
        h.write(f"extern const struct script script_{name};\n")
        c.write(f'\nconst struct script script_{name} = {{"{name}", "{sha1}",\n{literal(lines)}}};\n')
