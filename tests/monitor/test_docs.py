"""The manuals that scripts/qapi/doc.py makes, and the docs they are made from."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from emulator import PROGRAM, ROOT, Emulator

DOCUMENT = pathlib.Path(PROGRAM).parent / "introspect.json"
FILLERS = set("a an the of its is it for to and or in on this that with by as at be what which".split())


@pytest.fixture(scope="module")
def document():
    return json.loads(DOCUMENT.read_text())


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    d = tmp_path_factory.mktemp("doc")
    subprocess.run([sys.executable, ROOT / "scripts/qapi/doc.py", DOCUMENT, d], check=True, timeout=60)
    return d


def words(text):
    return re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())


def restates(doc, names):
    """True iff the doc's first paragraph says no more than the names."""
    said = [w for w in words(doc.split("\n\n")[0]) if w not in FILLERS]
    return all(w in names or w.rstrip("s") in names for w in said)


def test_restates():
    assert restates("the name", words("name")) and restates("Its baud rate", words("baud-rate"))
    assert not restates("bits per second", words("baud-rate")) and restates("", [])


def test_no_doc_restates_its_name(document):
    """What a user sets or calls says what it does."""
    bad = []

    def check(owner, item):
        if restates(item["doc"], words(item["name"] + " " + owner)):
            bad.append(f"{owner} {item['name']}: {item['doc']}")

    for kind in ("commands", "events", "options", "hmp"):
        for item in document[kind]:
            check("", item)
            for m in item.get("members", []):
                check(item["name"], m)
    types = {t["name"]: t for t in document["types"]}
    for o in document["options"]:
        members = types.get(o.get("arguments"), {}).get("members", [])
        for m in members if len(members) > 1 else []:  # an only one is the option's argument
            check(o["name"], m)
    for c in document["classes"]:
        check("", c)
        for m in c["config"] + c["control"] + c["info"]:
            check(c["name"], m)
    assert not bad, "\n".join(bad)


def test_man_pages(out):
    """As man formats them; nothing the formatter warns of but lines that cannot be broken."""
    for name, some in (("qemu-system-x86_64.1", ["-chardev backend,id=id", "isa-serial", "-no-shutdown"]),
                       ("qemu-qmp-ref.7", ["query-status", "SHUTDOWN", "RunState", "info registers"])):
        text = (out / name).read_text()
        assert all(s.replace("-", "\\-") in text.replace("\\fR \\fI", " ") for s in some)
        assert not [line for line in text.splitlines() if line.startswith(".") and not re.match(r"\.(TH|SH|SS|TP|IP|PP|RS|RE|B)\b", line)]
        if shutil.which("groff"):
            p = subprocess.run(["groff", "-man", "-Tutf8", "-ww", out / name], capture_output=True, text=True, timeout=60)
            assert p.returncode == 0
            assert not [line for line in p.stderr.splitlines() if "can't break" not in line and "cannot adjust" not in line]


def test_pages(out, document):
    """A page for each, and no link that leads nowhere."""
    pages = {p.name: p.read_text() for p in (out / "html").iterdir()}
    for kind, items in (("command", "commands"), ("class", "classes"), ("option", "options"), ("event", "events")):
        for item in document[items]:
            assert f"{kind}-{item['name']}.html" in pages
    for name, text in pages.items():
        for link in re.findall(r'href="([^"]+)"', text):
            assert link in pages, (name, link)
    assert "chardev" in pages["class-isa-serial.html"] and "default" in pages["class-isa-serial.html"]


def valid(schema, value, defs):
    """The part of JSON Schema that the file uses."""
    if "$ref" in schema:
        return valid(defs[schema["$ref"].split("/")[-1]], value, defs)
    if "oneOf" in schema:
        return sum(valid(s, value, defs) for s in schema["oneOf"]) == 1
    if "anyOf" in schema:
        return any(valid(s, value, defs) for s in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None)}
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return False
    if isinstance(value, dict):
        props = schema.get("properties", {})
        return (all(r in value for r in schema.get("required", [])) and len(value) <= schema.get("maxProperties", 99) and
                all(valid(props[k], v, defs) if k in props else schema.get("additionalProperties", True) for k, v in value.items()))
    return not isinstance(value, list) or all(valid(schema.get("items", {}), v, defs) for v in value)


def test_json_schema(out, document):
    """Every example is valid by it, requests that the program refuses for their form are not."""
    schema = json.loads((out / "qemu.schema.json").read_text())
    defs = schema["$defs"]
    examples = [json.loads(c["example"]) for c in document["commands"] if c.get("example")]
    assert len(examples) > 30
    for e in examples:
        assert valid(schema, e, defs), e
    for wrong in ({"execute": "nosuch"}, {"execute": "qom-get", "arguments": {"path": "/"}}, {"execute": "query-status", "arguments": {"a": 1}},
                  {"execute": "set-action", "arguments": {"reboot": "x"}}, {"execute": "qom-list", "arguments": {"path": 1}}):
        assert not valid(schema, wrong, defs), wrong
        with Emulator() as e:
            assert "error" in e.qmp.raw(json.dumps(wrong))
    assert valid(defs["class isa-serial"], {"chardev": "c0", "index": 1}, defs)
    assert not valid(defs["class isa-serial"], {"nosuch": 1}, defs)


@pytest.mark.parametrize("line, words_", [
    (["-chard"], {"-chardev"}), (["-device", "isa-ser"], {"isa-serial"}), (["-device", "isa-serial,ind"], {"isa-serial,index="}),
    (["-M", "pc,hp"], {"pc,hpet="}), (["-cpu", "Nehalem-I"], {"Nehalem-IBRS"}), (["-boot", "order=c,me"], {"order=c,menu="}),
])
def test_completion(out, line, words_):
    script = f'source "{out}/qemu-system-x86_64.bash"; COMP_WORDS=(q "$@"); COMP_CWORD={len(line)}; _qemu_system_x86_64 2>/dev/null; ' \
             'printf "%s\\n" "${COMPREPLY[@]}"'
    p = subprocess.run(["bash", "-c", script, "bash", *line], capture_output=True, text=True, timeout=10, env={"PATH": os.environ["PATH"]})
    assert set(p.stdout.split()) == words_
