"""Terraform's files as the checks want them: parsed, and as code without its strings; and the providers' schemas."""
import functools
import json
import re
import shutil
import subprocess

from ..support.paths import ROOT

TERRAFORM = ROOT / "deploy/terraform"
TOOLS = ROOT / ".deps/terraform"
PURE = ["names", "groups", "alarms", "lifecycle", "values"]  # the modules that need no provider


def missing_tool():
    """What the checks lack here, or None."""
    if not shutil.which("node"):
        return "node is not installed"
    return None if TOOLS.exists() else "Terraform's schemas are not in .deps: script/setup --test"


def blocks(tree, kind):
    """(type, name, body) of every block of two labels: resource, data."""
    for type_, named in tree.get(kind, {}).items():
        for name, bodies in named.items():
            for body in bodies:
                yield type_, name, body


class Module:
    """One folder of .tf files. `tree` is their content, merged; `code` the text with strings and comments blanked, what is
    interpolated kept; `texts` the strings' contents."""

    def __init__(self, folder, parsed):
        self.folder, self.name = folder, str(folder.relative_to(folder.parents[1]))
        self.tree = {}
        for content in parsed:
            merge(self.tree, content)
        texts = [(folder / file).read_text(encoding="utf-8") for file in sorted(p.name for p in folder.glob("*.tf"))]
        self.code = "\n".join(without_strings(text) for text in texts)
        self.locals = {name for block in self.tree.get("locals", []) for name in block}

    def variables(self):
        return {name: body[0] for name, body in self.tree.get("variable", {}).items()}

    def outputs(self):
        return set(self.tree.get("output", {}))

    def calls(self):
        return {name: body[0] for name, body in self.tree.get("module", {}).items()}

    def local(self, name):
        return next(block[name] for block in self.tree["locals"] if name in block)


def merge(into, content):
    for key, value in content.items():
        if key in into and isinstance(value, dict):
            merge(into[key], value)
        elif key in into and isinstance(value, list):
            into[key] = into[key] + value
        else:
            into[key] = value


def parse(files):
    command = ["node", ROOT / "tests/deploy/hcl2json.js", TOOLS / "hcl2json/package", *files]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip())
    return json.loads(done.stdout)


def load(top):
    """{folder: Module} of every folder with .tf files below."""
    files = sorted(top.rglob("*.tf"))
    parsed = parse(files)
    folders = sorted({file.parent for file in files})
    return {folder: Module(folder, [parsed[str(file)] for file in files if file.parent == folder]) for folder in folders}


def without_strings(text):
    """HCL without comments and without the contents of strings, except what stands in ${...} and %{...}."""
    out, index, inside = [], 0, []  # inside: '"' or the end of a heredoc for a string, '{' for code in braces
    while index < len(text):
        quote = inside[-1] if inside and inside[-1] != "{" else None
        if quote:
            step = skip_string(text, index, quote, inside)
            if inside and inside[-1] == "{" and quote != "{":
                out.append(" ")
            index = step
            continue
        comment = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.S).match(text, index)
        heredoc = re.compile(r"<<-?(\w+)\n").match(text, index)
        if comment:
            index = comment.end()
        elif heredoc:
            inside.append(heredoc[1])
            index = heredoc.end()
        elif text[index] == '"':
            inside.append('"')
            index += 1
        else:
            if text[index] in "{}":
                inside.append("{") if text[index] == "{" else inside.pop()
            out.append(text[index])
            index += 1
    return "".join(out)


def skip_string(text, index, quote, inside):
    """The next position of interest within a string, which may end it or begin an interpolation."""
    if text.startswith(("$${", "%%{"), index):
        return index + 3
    if text.startswith(("${", "%{"), index):
        inside.append("{")
        return index + 2
    if quote == '"':
        if text[index] == '"':
            inside.pop()
        return index + (2 if text[index] == "\\" else 1)
    end = re.compile(r"\s*" + quote + r"\b").match(text, index)
    if end and (index == 0 or text[index - 1] == "\n"):
        inside.pop()
        return end.end()
    return index + 1


# --- the providers' schemas ---

PROPERTY = re.compile(r"/\*\*(?P<doc>.*?)\*/\s*readonly (?P<name>\w+)(?P<optional>\?)?: (?P<type>\{.*?\}|[^;]*);", re.S)
PROPERTY_NAME = re.compile(r"\{@link [^ ]+ \w+#(\w+)\}")
INTERFACE = re.compile(r"^export interface (\w+)(?P<root> extends [^{]+)? \{\n(.*?)^\}", re.S | re.M)
ATTRIBUTE = re.compile(r"^    get (\w+)\(\)", re.M)


class Schema:
    """Arguments of a resource, data source or provider as its typings tell. `blocks` {interface: {argument: (required,
    interface of its members or None, is it a block)}}; `root` the name of the outermost; `attributes` what can be read."""

    def __init__(self, text):
        self.blocks, self.root = {}, None
        for match in INTERFACE.finditer(text):
            self.blocks[match[1]] = dict(properties(match[3]))
            if match["root"] or match[1].endswith("ProviderConfig"):
                self.root = match[1]
        last = text[text.rindex("export declare class"):]
        readable = {snake(name) for name in ATTRIBUTE.findall(last) if not name.endswith("Input")}
        self.attributes = readable | set(self.blocks[self.root])


def properties(text):
    for match in PROPERTY.finditer(text):
        name = PROPERTY_NAME.search(match["doc"])
        inner = re.match(r"(\w+)(\[\])?( |$)", match["type"])
        inner = inner[1] if inner and inner[1][0].isupper() else None
        is_block = bool(name and re.search(rf"^\s*\* {name[1]} block$", match["doc"], re.M))
        yield name[1] if name else snake(match["name"]), (not match["optional"], inner, is_block)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


@functools.lru_cache(None)
def schema(kind, type_):
    """Of a resource or data source; None when the provider has no such."""
    provider, _, rest = type_.partition("_")
    folder = rest.replace("_", "-") if kind == "resource" else f"data-{type_.replace('_', '-')}"
    path = TOOLS / provider / "package/lib" / folder / "index.d.ts"
    return Schema(path.read_text(encoding="utf-8")) if path.exists() else None


@functools.lru_cache(None)
def provider_schema(provider):
    return Schema((TOOLS / provider / "package/lib/provider/index.d.ts").read_text(encoding="utf-8"))
