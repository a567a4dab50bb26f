#!/usr/bin/python3
"""Judges error messages: what is right by the schema is broken in one way whose fix is known.

usage: tests/fuzz/mutate.py [--qemu FILE] [--cases N] [--seconds N] [--seed N] [--failures] [--least PERCENT] [--all-classes]

Options, devices, chardevs, machines, CPU models, QMP commands, HMP commands and config files are made from
`-introspect`; each gets one mutation (KINDS). A message is good when it names the item and the fix, and when it is
short. Prints a table by way and kind; with --failures each message that is not good. Exit status 0: at least PERCENT
(default 95) are.
"""
import argparse
import collections
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

KINDS = {
    "name": "a letter of an option, class or command is wrong: the right name",
    "member": "a letter of a key or argument: the right one",
    "value": "a letter of one of several words allowed: the right one",
    "type": "the value has another type: the type wanted",
    "range": "the value is too large or small: the limit",
    "reference": "the object named is not there: its name, and of what kind it must be",
    "missing": "what is required is not given: its name",
    "phase": "not now: when",
    "comma": "a comma too many: that it is one",
}
QUIT = '{"execute": "qmp_capabilities"}{"execute": "quit"}\n'
Case = collections.namedtuple("Case", "way kind text item fix run")


def word(text):
    """The text as a word of its own."""
    return r"(?<![\w-])" + re.escape(text) + r"(?![\w-])"


def typo(rng, name, others):
    """The name with a letter wrong; None when that would be another name, or none would see it."""
    for _ in range(20):
        i = rng.randrange(len(name))
        c = rng.choice("abcdefghijklmnopqrstuvwxyz")
        bad = rng.choice([name[:i] + name[i + 1:], name[:i] + name[i] + name[i:], name[:i] + c + name[i + 1:],
                          name[:i] + name[i + 1:i + 2] + name[i] + name[i + 2:]])
        if min(len(name), len(bad)) >= 4 and bad != name and bad not in others and re.match(r"[a-zA-Z]", bad) and bad[-1] not in ".-":
            return bad
    return None


INTS = {"int": (-2**63, 2**63 - 1), "size": (0, 2**64 - 1)}
for bits in (8, 16, 32, 64):
    INTS[f"int{bits}"] = (-2**(bits - 1), 2**(bits - 1) - 1)
    INTS[f"uint{bits}"] = (0, 2**bits - 1)


class Schema:
    def __init__(self, text):
        self.doc = json.loads(text)
        self.types = {t["name"]: t for t in self.doc["types"]}
        self.classes = {c["name"]: c for c in self.doc["classes"]}
        self.options = {o["name"]: o for o in self.doc["options"]}
        self.commands = {c["name"]: c for c in self.doc["commands"]}

    def members(self, type_name):
        t = self.types.get(type_name)
        return t.get("members", []) if t else []

    def enum(self, type_name):
        t = self.types.get(type_name)
        return [v["name"] for v in t["values"]] if t and t["kind"] == "enum" else None

    def of_kind(self, kind):
        return [c for c in self.doc["classes"] if c["kind"] == kind and not c.get("abstract") and
                (c.get("user-creatable") or kind not in ("device", "object"))]

    def valid(self, m):
        """A value that is right for the member, as JSON; None: not made up so easily."""
        kind = m["type"]
        if kind == "bool":
            return True
        if kind in INTS:
            low = max(m.get("min", INTS[kind][0]), 0)
            return min(max(low, m["default"] if isinstance(m.get("default"), int) else 1), m.get("max", 2**63))
        if kind == "str":
            return "a"
        if self.enum(kind):
            return self.enum(kind)[0]
        return None


class Maker:
    """Mutations of one member in all ways that its type has."""

    def __init__(self, schema, rng):
        self.s, self.rng = schema, rng

    def members(self, members, known=None):
        """(kind, key, value as JSON or text, item, fix) for each."""
        names = {m["name"] for m in members} | set(known or ())
        for m in members:
            bad = typo(self.rng, m["name"], names)
            good = self.s.valid(m)
            if bad and good is not None and "." not in m["name"]:
                yield "member", bad, good, bad, [word(m["name"])]
            yield from self.values(m)

    def values(self, m):
        name, kind, item = m["name"], m["type"], m["name"]
        enum = self.s.enum(kind)
        if enum:
            good = self.rng.choice(enum)
            bad = typo(self.rng, good, enum)
            if bad:
                yield "value", name, bad, bad, [word(good)]
            yield "type", name, "no-such-word", item, [word(e) for e in enum]
        elif kind == "bool":
            yield "type", name, "perhaps", item, [r"'on'.*'off'", r"\bbool"]
        elif kind in INTS:
            yield "type", name, "many", item, [r"\binteger\b", r"\bsize\b", r"\bnumber\b"]
            low, high = m.get("min", INTS[kind][0]), m.get("max", INTS[kind][1])
            if low > INTS[kind][0]:
                yield "range", name, low - 1, item, [word(str(low)), word(hex(low))]
            if high < 2**64 - 1:
                yield "range", name, high + 1, item, [word(str(high)), word(hex(high))]
        elif kind.startswith("ref<"):
            yield "reference", name, "nobody", "nobody", [r"not found", r"[Cc]annot find", r"does not exist", r"no .* with"]


def key_value(key, value):
    text = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    return f"{key}={text}".replace(",", ",,")


class Argv:
    """Each case is a run of the program."""

    def __init__(self, qemu, folder):
        self.qemu, self.folder = qemu, folder
        self.disk = os.path.join(folder, "disk")
        with open(self.disk, "wb") as f:
            f.truncate(1 << 20)

    def run(self, args, machine="none"):
        """(whether something was wrong or warned of, text without what was only repeated of the command line)."""
        base = ["-M", machine, *([] if "-accel" in args else ["-accel", "qtest"]), "-nodefaults", "-display", "none", "-S"]
        p = subprocess.run([self.qemu, *base, "-qmp", "stdio", *args], input=QUIT, capture_output=True, text=True, timeout=20,
                           cwd=self.folder, check=False)
        text = p.stderr
        for said in (" ".join(args[i:]) for i in range(len(args) - 1)):  # "-device x,foo=1: "
            text = text.replace(said + ":", "")
        return p.returncode != 0 or bool(text), text


class Qmp:
    def __init__(self, qemu, *args):
        ours, theirs = socket.socketpair()
        self.p = subprocess.Popen([qemu, "-nodefaults", "-display", "none", "-accel", "qtest", *args, "-chardev", f"socket,id=q,fd={theirs.fileno()}",
                                   "-mon", "chardev=q,mode=control"], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.sock, self.file = ours, ours.makefile("r")
        self.file.readline()
        self.ask('{"execute": "qmp_capabilities"}')

    def ask(self, text):
        self.sock.sendall(text.encode() + b"\n")
        while True:
            ready, _, _ = select.select([self.sock], [], [], 20)
            if not ready:
                raise RuntimeError(f"no reply to {text}")
            line = self.file.readline()
            if not line:
                raise RuntimeError(f"the emulator ended after {text}")
            reply = json.loads(line)
            if "event" not in reply:
                return reply

    def run(self, text):
        reply = self.ask(text)
        return ("error" in reply), reply.get("error", {}).get("desc", "")

    def hmp(self, line):
        reply = self.ask(json.dumps({"execute": "human-monitor-command", "arguments": {"command-line": line}}))
        return True, reply.get("return", reply.get("error", {}).get("desc", ""))

    def close(self):
        self.sock.sendall(b'{"execute": "quit"}\n')
        self.p.wait(20)


# What options need before they can be right. Not mutated: what ends the run or is no key=value.
NEEDS = {"mon": ["-chardev", "null,id=c0"]}
GIVEN = {"mon": {"chardev": "c0"}, "drive": {"file": "disk", "format": "raw", "if": "none"}, "fw_cfg": {"name": "opt/x", "string": "y"},
         "chardev": {}, "device": {}, "object": {}}
NOT_MUTATED = {"help", "h", "version", "introspect", "daemonize", "preconfig", "qtest", "qtest-log", "writeconfig", "accel", "cpu", "device",
               "chardev", "object", "machine", "M", "global", "set", "D", "readconfig"}


class Cases:
    def __init__(self, schema, rng, argv, all_classes):
        self.s, self.rng, self.argv, self.all = schema, rng, argv, all_classes
        self.make = Maker(schema, rng)

    def _argv(self, kind, args, item, fix, machine="none", way="argv"):
        return Case(way, kind, " ".join(args), item, fix, lambda: self.argv.run(args, machine))

    def _both(self, kind, option, record, item, fix, machine="none", before=()):
        """The record as key=value and as JSON. record: (key, value) in order."""
        text = ",".join(key_value(k, v) for k, v in record)
        yield self._argv(kind, [*before, f"-{option}", text], item, fix, machine)
        if option in ("device", "object"):
            args = [*before, f"-{option}", json.dumps(dict(record))]
            yield self._argv(kind, args, item, fix, machine, "argv JSON")

    def options(self):
        names = set(self.s.options)
        for name, o in self.s.options.items():
            bad = typo(self.rng, name, names)
            if bad:
                yield self._argv("name", [f"-{bad}"], bad, [word("-" + name)])
            if name in NOT_MUTATED or not o.get("arguments"):
                continue
            members = self.s.members(o["arguments"])
            if not o.get("implied-key") and len(members) == 1 or o["arguments"] == "DriveOption" and o.get("sugar"):
                continue  # takes its text as it is
            given = {m["name"]: self.s.valid(m) for m in members if m.get("required") and self.s.valid(m) is not None}
            given.update(GIVEN.get(name, {}))
            for kind, key, value, item, fix in self.make.members(members, given):
                record = [(k, v) for k, v in given.items() if k != key] + [(key, value)]
                yield self._argv(kind, [*NEEDS.get(name, []), f"-{name}", ",".join(key_value(k, v) for k, v in record)], item, fix)
            for m in members:
                if m.get("required") and m["name"] in given and m["name"] != o.get("implied-key"):
                    record = [(k, v) for k, v in given.items() if k != m["name"]]
                    text = ",".join(key_value(k, v) for k, v in record) or ","
                    yield self._argv("missing", [*NEEDS.get(name, []), f"-{name}", text], m["name"], [""])

    def _sample(self, classes, n):
        classes = list(classes)
        return classes if self.all else self.rng.sample(classes, min(n, len(classes)))

    def _records(self, option, first, classes, machine, before=()):
        """Class names and their configuration."""
        names = {c["name"] for c in self.s.doc["classes"]} | {c.get("alias") for c in self.s.doc["classes"]}
        for shown, c in classes:
            extra = [] if option == "device" else [("id", "x0")]
            bad = typo(self.rng, shown, names | {s for s, _ in classes})
            if bad:
                yield from self._both("name", option, [(first, bad), *extra], bad, [word(shown)], machine, before)
            config = [m for m in c["config"] if not m["name"].startswith("x-")]
            for kind, key, value, item, fix in self.make.members(config):
                need = [(m["name"], self.s.valid(m)) for m in config if m.get("required") and m["name"] != key and self.s.valid(m)]
                yield from self._both(kind, option, [(first, shown), *extra, *need, (key, value)], item, fix, machine, before)
            for m in config:
                if option in ("device", "object") and m["type"] in INTS:
                    args = [*before, f"-{option}", json.dumps({first: shown, **dict(extra), m["name"]: "1"})]
                    yield self._argv("type", args, m["name"], [r"\binteger\b", r"\bsize\b"], machine, "argv JSON")
            some = [m for m in config if self.s.valid(m) is not None]
            if some:
                m = self.rng.choice(some)
                pair = key_value(m["name"], self.s.valid(m))
                pairs = ",".join(key_value(k, v) for k, v in extra)
                yield self._argv("comma", [*before, f"-{option}", f"{shown},,{pair}" + (pairs and "," + pairs)], f"{shown},", [r"comma"], machine)
                text = json.dumps({first: shown, m["name"]: self.s.valid(m)})
                if option in ("device", "object"):
                    yield self._argv("comma", [f"-{option}", text[:-1] + ",}"], ",", [r"comma", r"','"], machine, "argv JSON")

    def devices(self):
        classes = [(c["name"], c) for c in self._sample(self.s.of_kind("device"), 8)]
        yield from self._records("device", "driver", classes, "pc")

    def objects(self):
        yield from self._records("object", "qom-type", [(c["name"], c) for c in self._sample(self.s.of_kind("object"), 8)], "none")

    def chardevs(self):
        classes = [(c["name"][len("chardev-"):], c) for c in self.s.of_kind("chardev")]
        yield from self._records("chardev", "backend", self._sample(classes, 6), "none")
        yield self._argv("missing", ["-chardev", "null"], "id", [""])

    def machines(self):
        machines = {c["name"].removesuffix("-machine"): c for c in self.s.of_kind("machine")}
        for name in self._sample(machines, 4):
            bad = typo(self.rng, name, set(machines))
            if bad:
                yield self._argv("name", ["-M", bad], bad, [word(name)])
        config = [m for m in machines["pc-i440fx-10.0"]["config"] if m["name"] != "type"]
        for kind, key, value, item, fix in self.make.members(config):
            if not self.s.types.get(key):
                yield self._argv(kind, ["-machine", key_value(key, value)], item, fix, "pc")

    def cpus(self):
        models = {c["name"].removesuffix("-x86_64-cpu"): c for c in self.s.of_kind("cpu")}
        for name in self._sample(models, 8):
            bad = typo(self.rng, name, set(models))
            if bad and "-v" not in name:
                yield self._argv("name", ["-cpu", bad], bad, [r"(?i)" + word(name)], "pc")
        features = [m for m in models["qemu64"]["config"] if m["type"] == "bool"]
        names = {m["name"] for m in models["qemu64"]["config"]}
        for m in self.rng.sample(features, min(6, len(features))):
            bad = typo(self.rng, m["name"], names)
            if bad:
                yield self._argv("member", ["-cpu", f"qemu64,{bad}=on"], bad, [word(m["name"])], "pc")
            yield self._argv("type", ["-cpu", f"qemu64,{m['name']}=perhaps"], m["name"], [r"'on'.*'off'", r"\bbool"], "pc")

    def accels(self):
        names = {c["name"].removesuffix("-accel") for c in self.s.of_kind("accel")}
        for name in names:
            bad = typo(self.rng, name, names)
            if bad:
                yield self._argv("name", ["-accel", bad], bad, [word(name)])

    def globals(self):
        """-global and -set, by which the configuration of another's record is given."""
        for c in self._sample([c for c in self.s.of_kind("device") if c["config"]], 6):
            for kind, key, value, item, fix in self.make.members(c["config"]):
                if kind in ("member", "type", "range", "value"):
                    pair = key_value(key, value)
                    yield self._argv(kind, ["-device", f"{c['name']},id=x0", "-global", f"{c['name']}.{pair}"], item, fix, "pc")
                    yield self._argv(kind, ["-device", f"{c['name']},id=x0", "-set", f"device.x0.{pair}"], item, fix, "pc")

    def config_files(self):
        def case(kind, lines, item, fix, machine="pc"):
            path = os.path.join(self.argv.folder, f"config{self.rng.randrange(1 << 30)}")
            def run():
                with open(path, "w", encoding="utf-8") as f:
                    f.write("\n".join(lines) + "\n")
                status, text = self.argv.run(["-readconfig", path], machine)
                return status, text.replace(path, "FILE")
            return Case("config", kind, " / ".join(lines), item, fix, run)
        groups = {"device", "chardev", "machine", "rtc", "drive", "global", "mon"} & set(self.s.options)
        for g in sorted(groups):
            bad = typo(self.rng, g, set(self.s.options))
            if bad:
                yield case("name", [f'[{bad} "a"]', '  a = "b"'], bad, [word(g)])
        for c in self._sample([c for c in self.s.of_kind("device") if c["config"]], 5):
            for kind, key, value, item, fix in self.make.members(c["config"]):
                shown = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
                yield case(kind, ['[device "d"]', f'  driver = "{c["name"]}"', f'  {key} = "{shown}"'], item, fix)
        for kind, key, value, item, fix in self.make.members(self.s.members("RtcOption")):
            yield case(kind, ["[rtc]", f'  {key} = "{value}"'], item, fix)

    # ---- Commands ----

    def _command(self, name, arguments):
        return json.dumps({"execute": name, **({"arguments": arguments} if arguments is not None else {})})

    def qmp(self, q):
        names = set(self.s.commands)
        for name, c in self.s.commands.items():
            def case(kind, text, item, fix):
                return Case("QMP", kind, text, item, fix, lambda: q.run(text))
            bad = typo(self.rng, name, names)
            if bad:
                yield case("name", self._command(bad, None), bad, [word(name)])
            members = c.get("members", [])
            good = {m["name"]: self.s.valid(m) for m in members if m.get("required")}
            if None in good.values() or name in ("quit", "system_wakeup"):
                continue
            for kind, key, value, item, fix in self.make.members(members):
                m = next((x for x in members if x["name"] == key), None)
                if kind == "type" and m and m["type"] == "bool":
                    fix = [r"\bboolean\b"]
                if kind == "range" and not -2**63 <= value < 2**64:
                    continue
                yield case(kind, self._command(name, {**good, key: value}), item, fix)
            for m in members:
                if m["type"] == "str":
                    yield case("type", self._command(name, {**good, m["name"]: 5}), m["name"], [r"\bstring\b"])
                if m.get("required"):
                    yield case("missing", self._command(name, {k: v for k, v in good.items() if k != m["name"]}), m["name"], [r"missing"])
            if good:
                yield case("comma", self._command(name, good)[:-2] + ",}}", ",", [r"comma", r"','"])

    def phases(self, q):
        for name, c in self.s.commands.items():
            good = {m["name"]: self.s.valid(m) for m in c.get("members", []) if m.get("required")}
            if "config" not in c["phases"] and None not in good.values():
                text = self._command(name, good)
                yield Case("QMP", "phase", text, name, [r"machine", r"preconfig"], lambda t=text: q.run(t))

    def hmp(self, q):
        commands = [(c["hmp"], c) for c in self.s.doc["commands"] if c.get("hmp")] + [(h["name"], h) for h in self.s.doc["hmp"]]
        names = {n for text, _ in commands for n in text.split("|")}
        words = names | {n.split()[-1] for n in names}

        def case(kind, line, item, fix):
            return Case("HMP", kind, line, item, fix, lambda: q.hmp(line))
        for text, c in commands:
            name = text.split("|")[0]
            last = name.split()[-1]
            bad = typo(self.rng, last, words)
            if bad:
                yield case("name", name[:-len(last)] + bad, bad, [word(last)])
            usage = c.get("usage", "").split()
            if usage and re.fullmatch(r"[\w-]+:[il]", usage[0]):
                yield case("type", f"{name} many", "'m'", [r"number|integer|register|expression"])
            if usage and re.fullmatch(r"[\w-]+:[sSFilM]", usage[0]):
                yield case("missing", name, usage[0].split(":")[0], [""])

    def all_of(self, q, early):
        for source in (self.options(), self.devices(), self.objects(), self.chardevs(), self.machines(), self.cpus(), self.accels(), self.globals(), self.config_files(),
                       self.qmp(q), self.phases(early), self.hmp(q)):
            yield from source


def judge(case, failed, text):
    """Why the message is not good, or None."""
    if not failed:
        return "accepted"
    if "Sanitizer" in text or "unexpected error" in text:
        return "crash"
    if len(text) > 1500 or text.count("\n") > 12:
        return "too long"
    if case.item not in text:
        return f"does not name the item ({case.item})"
    rest = text.replace(case.item, "", 1) if case.kind in ("name", "member", "value") else text
    if not any(re.search(f, rest, re.S) for f in case.fix):
        return f"does not name the fix ({case.fix[0]})"
    return None


def pick(cases, rng, n):
    """n of them (0: all), of each way and kind some."""
    cases = list(cases)
    rng.shuffle(cases)
    if not n or n >= len(cases):
        return cases
    groups = collections.defaultdict(list)
    for c in cases:
        groups[c.way, c.kind].append(c)
    chosen = []
    while len(chosen) < n:
        for g in groups.values():
            if g and len(chosen) < n:
                chosen.append(g.pop())
    return chosen


def report(results, show):
    table = collections.defaultdict(lambda: [0, 0])
    for case, why, text in results:
        table[case.way, case.kind][0] += 1
        table[case.way, case.kind][1] += why is None
        if why and show:
            print(f"--- {case.way}, {case.kind}: {case.text}\n    {why}\n    " + text.strip().replace("\n", "\n    "))
    ways = ["argv", "argv JSON", "config", "QMP", "HMP"]
    print(f"{'good of all':12}" + "".join(f"{w:>14}" for w in ways))
    for kind in KINDS:
        row = [table.get((w, kind)) for w in ways]
        print(f"{kind:12}" + "".join(f"{'' if r is None else f'{r[1]} of {r[0]}':>14}" for r in row))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--qemu", default=os.environ.get("QEMU", "build/qemu-system-x86_64"))
    ap.add_argument("--cases", type=int, default=0)
    ap.add_argument("--seconds", type=float, default=0, help="stop after these; 0: run all")
    ap.add_argument("--seed", type=int, default=int(time.time() * 1000))
    ap.add_argument("--failures", action="store_true")
    ap.add_argument("--least", type=float, default=95)
    ap.add_argument("--all-classes", action="store_true")
    args = ap.parse_args()
    qemu = os.path.abspath(args.qemu)
    rng = random.Random(args.seed)
    schema = Schema(subprocess.run([qemu, "-introspect"], capture_output=True, text=True, check=True).stdout)
    with tempfile.TemporaryDirectory(prefix="kestrel-mutate-") as folder:
        os.chdir(folder)
        q, early = Qmp(qemu, "-M", "pc", "-m", "16"), Qmp(qemu, "-M", "none", "--preconfig")
        cases = Cases(schema, rng, Argv(qemu, folder), args.all_classes)
        chosen = pick(cases.all_of(q, early), rng, args.cases)
        results = []
        end = time.monotonic() + args.seconds
        for case in chosen:
            if args.seconds and time.monotonic() > end:
                break
            try:
                failed, text = case.run()
            except (RuntimeError, subprocess.TimeoutExpired) as e:
                failed, text = True, f"crash: Sanitizer or hang: {e}"
            results.append((case, judge(case, failed, text), text))
        os.chdir("/")
        q.close()
        early.close()
    report(results, args.failures)
    good = sum(why is None for _, why, _ in results)
    share = 100 * good / len(results)
    print(f"{good} of {len(results)} messages name the item and the fix: {share:.1f} % (seed {args.seed})")
    return 0 if share >= args.least else 1


if __name__ == "__main__":
    sys.exit(main())
