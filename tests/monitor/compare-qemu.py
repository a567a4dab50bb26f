#!/usr/bin/env python3
"""Runs QEMU and this program with the same words and compares the shape of every answer.

usage: compare-qemu.py [--qemu PROGRAM] [--ours PROGRAM] [--all]

Compared: the schema of each command and event that both have (members, optional or not, types, enum values), the answers to
questions without arguments, errors of wrong requests, lines of the monitor, and command lines that are refused. What differs
and is not in docs/qemu-differences.md is printed; --all prints those too. Exit status 1 when something unexplained differs.
Both programs are black boxes.
"""
import argparse
import fnmatch
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REASONS = ROOT / "docs/qemu-differences.md"

# Requests that go wrong, and how, is part of what clients know.
WRONG = [
    {"execute": "nosuch"},
    {"execute": "query-status", "arguments": {"a": 1}},
    {"execute": "stop", "foo": 1},
    {"execute": 1},
    {"arguments": {}},
    {"exec-oob": "query-status"},
    [],
    {"execute": "qom-get", "arguments": {"path": "/nosuch", "property": "type"}},
    {"execute": "qom-get", "arguments": {"path": "/machine", "property": "nosuch"}},
    {"execute": "qom-get", "arguments": {"path": "/machine"}},
    {"execute": "qom-get", "arguments": {"path": 1, "property": "type"}},
    {"execute": "qom-list", "arguments": {"path": "/nosuch"}},
    {"execute": "qom-set", "arguments": {"path": "/machine", "property": "nosuch", "value": 1}},
    {"execute": "device-list-properties", "arguments": {"typename": "nosuch"}},
    {"execute": "device-list-properties", "arguments": {"typename": "isa-device"}},
    {"execute": "device-list-properties", "arguments": {"typename": "tcg-accel"}},
    {"execute": "qom-list-properties", "arguments": {"typename": "nosuch"}},
    {"execute": "object-add", "arguments": {"qom-type": "nosuch", "id": "a"}},
    {"execute": "object-add", "arguments": {"id": "a"}},
    {"execute": "object-del", "arguments": {"id": "nosuch"}},
    {"execute": "device_add", "arguments": {"driver": "nosuch"}},
    {"execute": "device_add", "arguments": {"driver": "VGA", "nosuch": 1}},
    {"execute": "device_add", "arguments": {"driver": "VGA", "id": "1a"}},
    {"execute": "device_add", "arguments": {"driver": "VGA", "bus": "nosuch"}},
    {"execute": "device_add", "arguments": {"driver": "VGA", "vgamem_mb": "x"}},
    {"execute": "device_add", "arguments": {"driver": "VGA", "addr": "40"}},
    {"execute": "device_add", "arguments": {"driver": "isa-serial"}},
    {"execute": "device_add", "arguments": {"driver": "PIIX4_PM"}},
    {"execute": "device_del", "arguments": {"id": "nosuch"}},
    {"execute": "chardev-add", "arguments": {"id": "a", "backend": {"type": "nosuch", "data": {}}}},
    {"execute": "chardev-add", "arguments": {"id": "a", "backend": {"type": "null"}}},
    {"execute": "chardev-add", "arguments": {"id": "1", "backend": {"type": "null", "data": {}}}},
    {"execute": "chardev-add", "arguments": {"id": "a", "backend": {"type": "file", "data": {"out": "/nosuch/x"}}}},
    {"execute": "chardev-add", "arguments": {"id": "a", "backend": {"type": "ringbuf", "data": {"size": 3}}}},
    {"execute": "chardev-remove", "arguments": {"id": "nosuch"}},
    {"execute": "chardev-send-break", "arguments": {"id": "nosuch"}},
    {"execute": "ringbuf-read", "arguments": {"device": "nosuch", "size": 1}},
    {"execute": "human-monitor-command", "arguments": {"command-line": "info version", "cpu-index": 99}},
    {"execute": "memsave", "arguments": {"val": 0, "size": 1, "filename": "/nosuch/x"}},
    {"execute": "memsave", "arguments": {"val": 0, "size": 1, "filename": "/nosuch/x", "cpu-index": 9}},
    {"execute": "pmemsave", "arguments": {"val": 0, "size": 1, "filename": "/nosuch/x"}},
    {"execute": "screendump", "arguments": {"filename": "/nosuch/x"}},
    {"execute": "screendump", "arguments": {"filename": "/tmp/x", "device": "nosuch"}},
    {"execute": "screendump", "arguments": {"filename": "/tmp/x", "head": 1}},
    {"execute": "getfd", "arguments": {"fdname": "a"}},
    {"execute": "closefd", "arguments": {"fdname": "a"}},
    {"execute": "add-fd"},
    {"execute": "remove-fd", "arguments": {"fdset-id": 3}},
    {"execute": "set-action", "arguments": {"reboot": "nosuch"}},
    {"execute": "system_wakeup"},
    {"execute": "x-exit-preconfig"},
    {"execute": "qmp_capabilities"},
    {"execute": "query-cpu-model-expansion", "arguments": {"type": "full", "model": {"name": "nosuch"}}},
    {"execute": "query-command-line-options", "arguments": {"option": "nosuch"}},
    {"execute": "trace-event-get-state", "arguments": {"name": "nosuch"}},
]

HMP = ["info nosuch", "nosuch", "help nosuch", "info status", "info version", "info name", "info uuid", "info kvm", "info chardev",
       "info cpus", "info registers", "info mem", "info tlb", "info pic", "info lapic", "info qom-tree", "info qtree", "info mtree",
       "info pci", "info roms", "info history", "info memory_size_summary", "info hotpluggable-cpus", "x /2xw 0xfffffff0",
       "xp /2i 0xfffffff0", "print 1+2*3", "print", "p /x 255", "i /b 0x64", "o /b 0x80 1", "sum 0 16", "gva2gpa 0x1000", "gpa2hva 0xffffffff0000",
       "cpu 0", "cpu 9", "stop", "cont", "system_powerdown", "device_add nosuch", "device_add VGA,foo=1", "device_del nosuch",
       "object_add nosuch,id=a", "object_del nosuch", "chardev-add null,id=a1", "chardev-remove a1", "chardev-remove nosuch",
       "qom-list /objects", "qom-get /machine type", "qom-set /machine nosuch 1", "ringbuf_read nosuch 1", "sendkey nosuch",
       "sendkey ctrl-alt-f1", "log none", "logfile /nosuch/x", "memsave 0 1 /nosuch/x", "screendump /nosuch/x", "nmi", "closefd nosuch",
       "mouse_move 1 1", "mouse_button 0", "watchdog_action reset", "trace-event nosuch on", "exit_preconfig", "info irq", "set_link x on"]

ARGV = [["-nosuch"], ["-M", "nosuch"], ["-M", "pc,nosuch=1"], ["-M", "pc,hpet=x"], ["-cpu", "nosuch"], ["-cpu", "qemu64,nosuch=1"], ["-accel", "nosuch"],
        ["-m", "x"], ["-m", "1E"], ["-smp", "x"], ["-smp", "0"], ["-smp", "2,maxcpus=1"], ["-smp", "2,sockets=3"], ["-smp", "nosuch=1"],
        ["-device", "nosuch"], ["-device", "VGA,nosuch=1"], ["-device", "VGA,id=1"], ["-device", "VGA,bus=nosuch"], ["-device", "isa-device"],
        ["-device", "VGA,vgamem_mb=x"], ["-device", "isa-serial,chardev=nosuch"], ["-device", ""], ["-device", "id=x"],
        ["-object", "nosuch,id=x"], ["-object", "x"], ["-chardev", "nosuch,id=x"], ["-chardev", "null"], ["-chardev", "null,id=x", "-chardev", "null,id=x"],
        ["-serial", "nosuch"], ["-monitor", "nosuch"], ["-mon", "nosuch"], ["-qmp", ""], ["-drive", "file=/nosuch"], ["-drive", "nosuch=1"],
        ["-hda", "/nosuch"], ["-kernel", "/nosuch"], ["-bios", "/nosuch"], ["-boot", "nosuch=1"], ["-boot", "order=y"], ["-rtc", "base=x"],
        ["-rtc", "clock=x"], ["-uuid", "x"], ["-name", "a,nosuch=1"], ["-display", "nosuch"], ["-vga", "nosuch"], ["-global", "x"],
        ["-global", "VGA.nosuch=1"], ["-set", "x"], ["-set", "device.x.y=1"], ["-readconfig", "/nosuch"], ["-pidfile", "/nosuch/x"], ["-d", "nosuch"],
        ["-D", "/nosuch/x", "-d", "int"], ["-dfilter", "x"], ["-action", "reboot=x"], ["-msg", "nosuch=1"], ["-overcommit", "mem-lock=x"],
        ["-fw_cfg", "x"], ["-fw_cfg", "name=opt/x,file=/nosuch"], ["-add-fd", "fd=1"], ["-L"], ["-watchdog-action", "x"], ["-echr", "x"], ["-netdev", "nosuch,id=x"]]


class Program:
    def __init__(self, path):
        self.path = path

    def qmp(self, requests, *args):
        text = "\n".join(json.dumps(r) for r in [{"execute": "qmp_capabilities"}, *requests, {"execute": "quit"}]) + "\n"
        p = subprocess.run([self.path, "-display", "none", "-S", "-qmp", "stdio", *args], input=text, capture_output=True, text=True, timeout=60)
        replies = [json.loads(line) for line in p.stdout.splitlines() if line.startswith("{")]
        return [r for r in replies if "return" in r or "error" in r][1:][:len(requests)]

    def refused(self, args):
        """(status, first line of the error without the program's name)."""
        try:
            p = subprocess.run([self.path, "-display", "none", "-S", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1.5)
        except subprocess.TimeoutExpired:
            return "runs", ""
        lines = [line for line in p.stderr.splitlines() if "warning:" not in line]
        return p.returncode, lines[0].split(": ", 1)[-1] if lines else ""


class Differences:
    def __init__(self, show_all):
        self.show_all, self.unexplained, self.explained = show_all, [], []
        text = REASONS.read_text() if REASONS.exists() else ""
        self.reasons = re.findall(r"^\| `([^`]+)` \|", text, re.M)
        self.used = set()

    def add(self, where, what):
        pattern = next((p for p in self.reasons if fnmatch.fnmatchcase(where, p)), None)
        (self.explained if pattern else self.unexplained).append(f"{where}: {what}")
        self.used.add(pattern)

    def report(self):
        for line in self.unexplained + (["", "Explained:"] + self.explained if self.show_all else []):
            print(line)
        unused = [p for p in self.reasons if p not in self.used]
        for p in unused:
            print(f"{REASONS.name}: '{p}' explains nothing")
        print(f"{len(self.unexplained)} differences without a reason, {len(self.explained)} with one")
        return bool(self.unexplained or unused)


class Schema:
    def __init__(self, entries):
        self.types = {e["name"]: e for e in entries}
        self.of = {kind: {e["name"]: e for e in entries if e["meta-type"] == kind} for kind in ("command", "event")}

    def compare(self, other, mine, theirs, where, diff, seen):
        """Type `theirs` of other (QEMU's) against `mine`: what a client of theirs would miss or trip over."""
        a, b = self.types[mine], other.types[theirs]
        if (mine, theirs) in seen:
            return
        seen.add((mine, theirs))
        if a["meta-type"] != b["meta-type"]:
            diff.add(where, f"is {a['meta-type']}, {b['meta-type']} in QEMU")
        elif a["meta-type"] == "array":
            self.compare(other, a["element-type"], b["element-type"], where + "[]", diff, seen)
        elif a["meta-type"] == "enum":
            for v in sorted(set(a["values"]) - set(b["values"])):
                diff.add(f"{where}^{v}", "only here")
            missing = sorted(set(b["values"]) - set(a["values"]))
            if missing:
                diff.add(f"{where}^", "lacks " + " ".join(missing))
        elif a["meta-type"] == "object":
            self.compare_objects(other, a, b, where, diff, seen)
        elif a["meta-type"] == "builtin" and a["json-type"] != b["json-type"]:
            diff.add(where, f"is {a['json-type']}, {b['json-type']} in QEMU")

    def compare_objects(self, other, a, b, where, diff, seen):
        ours, theirs = ({m["name"]: m for m in e["members"]} for e in (a, b))
        for name in sorted(ours.keys() | theirs.keys()):
            at = f"{where}.{name}"
            if name not in ours:
                diff.add(at, "missing" + ("" if "default" in theirs[name] else ", and required in QEMU"))
            elif name not in theirs:
                diff.add(at, "only here")
            else:
                if ("default" in ours[name]) != ("default" in theirs[name]):
                    diff.add(at, "optional here" if "default" in ours[name] else "required here")
                self.compare(other, ours[name]["type"], theirs[name]["type"], at, diff, seen)
        ours, theirs = ({v["case"]: v["type"] for v in e.get("variants", [])} for e in (a, b))
        for case in sorted(ours.keys() & theirs.keys()):
            self.compare(other, ours[case], theirs[case], f"{where}+{case}", diff, seen)


def compare_schemas(ours, qemu, diff):
    mine, theirs = (Schema(p.qmp([{"execute": "query-qmp-schema"}], "-M", "none")[0]["return"]) for p in (ours, qemu))
    for kind in ("command", "event"):
        missing = sorted(theirs.of[kind].keys() - mine.of[kind].keys())
        if missing:
            diff.add(f"{kind}s", "missing: " + " ".join(missing))
        for name in sorted(mine.of[kind].keys() - theirs.of[kind].keys()):
            diff.add(f"{kind} {name}", "only here")
        for name in sorted(mine.of[kind].keys() & theirs.of[kind].keys()):
            a, b = mine.of[kind][name], theirs.of[kind][name]
            for part, mark in (("arg-type", ""), ("ret-type", " ->")):
                if part in a:
                    mine.compare(theirs, a[part], b[part], name + mark, diff, set())
            if a.get("allow-oob") != b.get("allow-oob"):
                diff.add(name, f"allow-oob is {a.get('allow-oob', False)}")
            if set(a.get("features", [])) != set(b.get("features", [])):
                diff.add(name, f"features {a.get('features', [])}, in QEMU {b.get('features', [])}")
    return mine, theirs


def shape(v, depth=4):
    """What kinds of values where; lists by the shapes of all their elements together."""
    if isinstance(v, dict):
        return {k: shape(x, depth - 1) for k, x in v.items()} if depth else "object"
    if isinstance(v, list):
        merged = {}
        for x in (shape(x, depth - 1) for x in v):
            merged = {**merged, **x} if isinstance(x, dict) else x
        return [merged] if v else []
    return {bool: "bool", int: "int", float: "int", str: "str", type(None): "null"}[type(v)]


def compare_shapes(a, b, where, diff):
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(a.keys() | b.keys()):
            if k not in a or k not in b:
                diff.add(f"{where}.{k}", "missing" if k not in a else "only here")
            else:
                compare_shapes(a[k], b[k], f"{where}.{k}", diff)
    elif isinstance(a, list) and isinstance(b, list):
        if a and b:
            compare_shapes(a[0], b[0], where + "[]", diff)
        elif a or b:
            diff.add(where, "empty list" if b else "list that is empty in QEMU")
    elif type(a) is not type(b) or a != b:
        diff.add(where, f"{json.dumps(a)[:80]}, in QEMU {json.dumps(b)[:80]}")


def reply_shape(r):
    return {"return": shape(r["return"])} if "return" in r else {"error": [r["error"]["class"], r["error"]["desc"]]}


def compare_replies(ours, qemu, requests, args, diff, label):
    for request, a, b in zip(requests, ours.qmp(requests, *args), qemu.qmp(requests, *args)):
        where = f"{label} {request['execute'] if label == 'answer' else json.dumps(request)}"
        a, b = reply_shape(a), reply_shape(b)
        if a.keys() != b.keys() or "error" in a:
            if a != b:
                diff.add(where, f"{json.dumps(a)[:160]}, in QEMU {json.dumps(b)[:160]}")
        else:
            compare_shapes(a["return"], b["return"], where, diff)


def normal(text):
    """Addresses, numbers and such may differ."""
    return re.sub(r"\b(0x)?[0-9a-f]*[0-9][0-9a-f]*\b", "N", text)


def compare_hmp(ours, qemu, diff):
    requests = [{"execute": "human-monitor-command", "arguments": {"command-line": line}} for line in HMP]
    for line, a, b in zip(HMP, ours.qmp(requests, "-net", "none"), qemu.qmp(requests, "-net", "none")):
        a, b = ([normal(x) for x in r["return"].splitlines()] if "return" in r else [r["error"]["desc"]] for r in (a, b))
        if a != b:
            pairs = [(x, y) for x, y in zip(a + [""] * len(b), b + [""] * len(a)) if x != y]
            diff.add(f"hmp {line}", f"{len(pairs)} lines: {pairs[0][0]!r}, in QEMU {pairs[0][1]!r}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    p.add_argument("--ours", default=str(ROOT / "build/qemu-system-x86_64"))
    p.add_argument("--all", action="store_true")
    args = p.parse_args()
    ours, qemu, diff = Program(args.ours), Program(args.qemu), Differences(args.all)
    mine, theirs = compare_schemas(ours, qemu, diff)
    questions = [c for c in sorted(mine.of["command"].keys() & theirs.of["command"].keys()) if c.startswith(("query-", "x-query-"))
                 and c != "query-qmp-schema" and not any("default" not in m for m in mine.types[mine.of["command"][c]["arg-type"]]["members"])]
    compare_replies(ours, qemu, [{"execute": c} for c in questions], ["-net", "none"], diff, "answer")
    compare_replies(ours, qemu, [{"execute": c} for c in questions], ["-M", "none"], diff, "answer")
    compare_replies(ours, qemu, WRONG, ["-net", "none"], diff, "wrong")
    compare_hmp(ours, qemu, diff)
    for words in ARGV:
        a, b = ours.refused(words), qemu.refused(words)
        if a != b:
            diff.add("argv " + " ".join(words), f"{a}, in QEMU {b}")
    sys.exit(diff.report())


main()
