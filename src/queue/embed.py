#!/usr/bin/python3
"""Makes C of the Lua scripts: embed.py OUT.c OUT.h SCRIPT.lua... [--test-clock]

Each file of script/ becomes a `const struct script script_<name>`: its text without comments, and the SHA-1 of that text,
by which EVALSHA calls it. Redis knows no modules, so what several scripts share lies in script/lib/ and is copied into
each of them. Four comments, each alone on its line, are replaced by code:

    -- include: NAME      The text of lib/NAME.lua, once a script, however many ask for it: its local functions are
                          there from this line on.
    -- on demand: NAME    A function NAME() that defines the functions of lib/NAME.lua when it is called and returns
                          them in a table: `line().enter_ready(job)`. For what a script seldom needs, because Redis
                          runs a script's whole text at each call, and each function that is defined costs time.
    -- defaults: NAME     A table NAME of farm/kinds.def: the limits of each kind of job, as `dub = '5 2000 ...'`.
    -- alone: NAME        A table NAME of farm/kinds.def: the kinds whose death ends nothing else, as `image = true`.

Within one script a lib file is either included or on demand; this program refuses both. A local of one lib file is a
local of the whole script, so names must not clash. What a lib file includes when it is on demand is known inside it only.

With --test-clock the scripts read the time from the key test_clock instead of from Redis, so that tests can move it."""
import hashlib, os, re, sys

out_c, out_h, *sources = sys.argv[1:]
test_clock = sources[-1] == "--test-clock" and sources.pop()


def on_demand(name, lines):
    functions = [m[1] for m in (re.match(r"local function (\w+)", line) for line in lines) if m]
    exports = ", ".join(f"{f} = {f}" for f in functions)
    return [f"local function {name}()\n", *lines, f"return {{{exports}}}\n", "end\n"]


def kinds():
    """The columns of each row of farm/kinds.def but the first one; the first of these is the kind's name."""
    path = os.path.join(os.path.dirname(sources[0]), "..", "..", "farm", "kinds.def")
    rows = re.findall(r'^KIND\(\w+, *(.*)\)$', open(path, encoding="utf-8").read(), re.MULTILINE)
    return [[column.strip(' "') for column in row.split(",")] for row in rows]


def defaults(name):
    FIRST = 8
    table = ", ".join(f"{kind[0]} = '{' '.join(kind[FIRST:])}'" for kind in kinds())
    return f"local {name} = {{{table}}}\n"


def alone(name):
    ALONE = 5
    return f"local {name} = {{{', '.join(f'{kind[0]} = true' for kind in kinds() if kind[ALONE] == 'true')}}}\n"


def expand(path, seen):
    """The lines of a file, with what it asks for. `seen`: how each lib file came into the script so far."""
    lines = []
    for line in open(path, encoding="utf-8"):
        request = re.fullmatch(r"-- (include|on demand): (\w+)\n", line)
        if request:
            how, name = request.groups()
            if name in seen:
                if seen[name] != how:
                    sys.exit(f"{path}: lib/{name}.lua is both included and on demand")
                continue
            seen[name] = how
            # What is included inside a function is not there outside of it.
            inside = seen if how == "include" else dict(seen)
            text = expand(os.path.join(os.path.dirname(sources[0]), "lib", name + ".lua"), inside)
            lines += text if how == "include" else on_demand(name, text)
        elif table := re.fullmatch(r"-- (defaults|alone): (\w+)", line.strip()):
            lines.append({"defaults": defaults, "alone": alone}[table[1]](table[2]))
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
        lines = expand(source, {})
        sha1 = hashlib.sha1("".join(lines).encode()).hexdigest()
        h.write(f"extern const struct script script_{name};\n")
        c.write(f'\nconst struct script script_{name} = {{"{name}", "{sha1}",\n{literal(lines)}}};\n')
