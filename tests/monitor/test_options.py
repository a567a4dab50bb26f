"""The command line: errors, help, how the process ends and runs in the background."""
import json
import os
import random
import re
import signal
import subprocess
import time

import pytest
from emulator import Emulator, PROGRAM, Qmp, connect, run

ME = "qemu-system-x86_64: "


@pytest.mark.parametrize("args, error", [
    (["-foobar"], "-foobar: invalid option"),
    (["-chardevv", "x"], "-chardevv: invalid option\nDid you mean '-chardev'?"),
    (["-spice", "x"], "-spice: this option of QEMU is not here yet\nThere is no SPICE; use -nographic\n"),
    (["-chard", "x"], "-chard: invalid option\nDid you mean '-chardev'?"),
    (["-net", "user"], "-net user: Parameter 'type' does not accept value 'user'\nValues: none\n"),
    (["-audiodev", "alsa,id=a"], "-audiodev alsa,id=a: Parameter 'driver' does not accept value 'alsa'"),
    (["-M", "none,usb=on"], "usb=on: this machine has no USB controller yet; usb=off is what there is"),
    (["-M", "pc,vmport=on"], "vmport=on: this machine has no VMware port yet; vmport=off is what there is"),
    (["-M", "none", "-overcommit", "cpu-pm=on"], "-overcommit cpu-pm=on: cpu-pm=on needs an accelerator"),
    (["-M", "pc,foo=1"], "Property 'pc-i440fx-10.0-machine.foo' not found"),
    (["-device", "isa-serial,indx=1"], "-device isa-serial,indx=1: Property 'isa-serial.indx' not found\nDid you mean 'index'?"),
    (["-device", "isa-ser"], "-device isa-ser: 'isa-ser' is not a valid device model name\nDid you mean 'isa-serial'?"),
    (["-cpu", "Broadw"], "unable to find CPU model 'Broadw'\nDid you mean 'Broadwell'?"),
    (["-cpu", "host"], "CPU model 'host' requires KVM or HVF"),
    (["-cpu", "max,+avx512f,enforce"], "max-x86_64-cpu: this program does not have the features "),
    (["-vga", "foo"], "unknown vga type: foo"),
    (["-serial", "null"] * 5, "-serial null: too many serial ports; there are at most 4"),
    (["-m"], "-m: requires an argument"),
    (["-M", "foo"], "unsupported machine type: \"foo\"\n"),
    (["-M", "none", "-name", "a,b=c"], "-name a,b=c: Invalid parameter 'b'"),
    (["-M", "none", "-uuid", "xx"], "-uuid xx: failed to parse UUID string: wrong format"),
    (["-M", "none", "-m", "5x"], "-m 5x: Parameter 'size' expects a size value"),
    (["-M", "none", "-pidfile", "/nonexist/x"], "cannot create PID file: Could not create '/nonexist/x': No such file or directory"),
    (["-M", "none", "-d", "foo"], "-d foo: "),
    (["-M", "none", "-display", "foo"], "-display foo: Parameter 'type' does not accept value 'foo'"),
    (["-M", "none", "-readconfig", "/nonexist"], "-readconfig /nonexist: Cannot read config file /nonexist: No such file or directory"),
    (["-M", "none", "-set", "chardev.x.path=y"], "-set chardev.x.path=y: there is no chardev \"x\" defined"),
    (["-M", "none", "-object", "foo,id=a"], "-object foo,id=a: "),
    (["-M", "none", "-device", "foo"], "-device foo: 'foo' is not a valid device model name"),
])
def test_errors(args, error):
    status, out, err = run(*args)
    assert status == 1 and not out
    assert err.startswith(ME + error), err


def test_version_and_help():
    for flag in ("-version", "--version"):
        status, out, err = run("-M", "none", flag)
        assert status == 0 and re.match(r"QEMU emulator version 10\.0\.2 \(Kestrel \d", out)
    status, out, err = run("-display", "none", "-help")
    assert status == 0 and "-chardev backend,id=id" in out and not err
    assert run("-h")[1] == out
    assert "none " in run("-M", "help")[1]
    assert "  socket\n" in run("-chardev", "help")[1]
    assert "reconnect-ms=<uint32>" in run("-chardev", "socket,help")[1]
    assert run("-display", "none", "-machine", "accel=kvm:tcg", "-device", "?")[0] == 0
    assert "guest_errors" in run("-d", "help")[1]
    assert "/usr/share/seabios\n" in run("-L", "help")[1]


def test_lists():
    """What scripts read: one name a line, at its start or after two blanks."""
    machines = run("-M", "help")[1].splitlines()
    assert machines[0] == "Supported machines are:"
    assert any(re.match(r"pc +Standard PC .*\(alias of pc-i440fx-10.0\)$", m) for m in machines)
    assert [m for m in machines if m.endswith("(default)")] == [m for m in machines if m.startswith("pc-i440fx-10.0 ")]
    assert "tcg" in run("-accel", "help")[1].splitlines()
    assert [m.split()[0] for m in run("-vga", "help")[1].splitlines()] == ["none", "std"]
    assert run("-display", "help")[1].splitlines() == ["Available display backend types:", "none"]
    cpus = run("-cpu", "help")[1].splitlines()
    assert "  Broadwell             (alias configured by machine type)" in cpus
    assert "  Broadwell-IBRS        (alias of Broadwell-v3)" in cpus
    flags = " ".join(cpus[cpus.index("Recognized CPUID flags:"):]).split()
    assert {"avx2", "la57", "pni", "sse4.1"} <= set(flags)


@pytest.mark.parametrize("args", [
    ["-net", "none"], ["-nic", "none"], ["-audio", "none"], ["-audiodev", "none,id=x"],
    ["-audiodev", '{"driver": "none", "id": "x"}'], ["-overcommit", "mem-lock=off"], ["-M", "none,usb=off"],
    ["-action", "reboot=reset,watchdog=pause"], ["-watchdog-action", "poweroff"], ["-msg", "timestamp=on"],
])
def test_what_is_so_anyway(args):
    """Forms that scripts and clients use, and that ask for what this program does."""
    with Emulator(*args) as e:
        assert e.qmp.ok("query-status")["running"]
        e.qmp.ok("quit")
        assert e.end() == 0 and not e.p.stderr.read()


@pytest.mark.parametrize("args, warning", [
    (["-global", "foo.bar=1"], "warning: global foo.bar has invalid class name"),
    (["-M", "pc", "-cpu", "max,+avx512f"], "warning: this program does not have the CPU features avx512f"),
    (["-M", "pc", "-cpu", "max,+sse4_1,la57=off,-lahf_lm,pni"], None),
])
def test_warnings(args, warning):
    with Emulator("-S", *args) as e:
        e.qmp.ok("quit")
        assert e.end() == 0
        err = e.p.stderr.read().decode().splitlines()
        assert err == ([ME + warning] if warning else [])


def test_sigterm_has_the_time_before_it():
    with Emulator("-msg", "timestamp=on,guest-name=on", "-name", "box") as e:
        e.p.send_signal(signal.SIGTERM)
        assert e.end() == 0
        assert re.match(r"\d{4}-\d\d-\d\dT\S+Z box qemu-system-x86_64: terminating on signal 15", e.p.stderr.read().decode())


def test_introspect():
    text = run("-introspect")[1]
    document = json.loads(text)
    installed = os.path.join(os.path.dirname(PROGRAM), "introspect.json")
    assert open(installed).read() == text
    parents = {c["name"]: c.get("parent") for c in document["classes"]}
    assert all(p is None or p in parents for p in parents.values())
    types = {t["name"] for t in document["types"]}
    members = [m for c in document["classes"] for m in c["config"] + c["control"] + c["info"]]
    assert len(members) > 300 and all(m["doc"] and m["stability"] for m in members)
    assert all(m.get("required") or "default" in m or "default-expression" in m or "alias" in m or "When absent" in m["doc"]
               for c in document["classes"] for m in c["config"])
    assert all(o["arguments"] in types for o in document["options"] if "arguments" in o)
    assert {"commands", "options", "classes"} <= set(document)
    names = {o["name"] for o in document["options"]}
    assert {"machine", "chardev", "qmp", "device"} <= names


def test_every_option_example_parses():
    """The example of each option, with -version so that nothing runs."""
    document = json.loads(run("-introspect")[1])
    for o in document["options"]:
        args = o["example"].split(" ", 1) if o.get("example") else []
        if o["name"] in ("readconfig", "set", "help", "h", "introspect"):
            continue
        status, out, err = run(*args, "-version")
        assert status == 0 and "version" in out, (args, err)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(number):
    with Emulator() as e:
        e.p.send_signal(number)
        assert e.qmp.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-signal"}
        assert e.end() == 0
        assert f"terminating on signal {int(number)} from pid {os.getpid()} (".encode() in e.p.stderr.read()


def test_pidfile_and_daemonize(tmp_path):
    """As libvirt's probe: the parent ends when the socket listens and the file is written."""
    status, out, err = run("-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=kvm:tcg", "-qmp",
                           f"unix:{tmp_path}/q,server=on,wait=off", "-pidfile", f"{tmp_path}/pid", "-daemonize")
    assert status == 0, err
    pid = int((tmp_path / "pid").read_text())
    q = Qmp(connect(tmp_path / "q"))
    assert q.ok("query-status")["status"] == "prelaunch"
    assert os.readlink(f"/proc/{pid}/cwd") == "/" and os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    status, out, err = run("-M", "none", "-pidfile", f"{tmp_path}/pid")
    assert status == 1 and "cannot create PID file" in err
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 5
    while os.path.exists(f"{tmp_path}/pid") and time.monotonic() < end:
        time.sleep(0.01)
    assert not os.path.exists(f"{tmp_path}/pid")
    status, out, err = run("-M", "none", "-qmp", "unix:/nonexist/q,server=on,wait=off", "-daemonize")
    assert status == 1 and "Failed to bind socket" in err


def test_message_stamps():
    err = run("-M", "none", "-msg", "timestamp=on,guest-name=on", "-name", "guest1", "-device", "foo")[2]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z guest1 qemu-system-x86_64: -device foo: ", err)


def test_config_files(tmp_path):
    status, out, err = run("-M", "none", "-chardev", "socket,id=c,path=a,,b,server=on,wait=off", "-name", "x", "-writeconfig",
                           f"{tmp_path}/cfg", "-mon", "nonexistent")
    text = '[machine]\n  type = "none"\n[chardev "c"]\n  backend = "ringbuf"\n  size = "16"\n[name]\n  guest = "from file"\n'
    (tmp_path / "in").write_text(text)
    with Emulator("-readconfig", str(tmp_path / "in"), "-set", "chardev.c.size=32", "-writeconfig", f"{tmp_path}/cfg", machine=()) as e:
        assert e.qmp.ok("query-name") == {"name": "from file"}
        assert e.qmp.ok("qom-get", path="/chardevs/c", property="size") == 32
    written = (tmp_path / "cfg").read_text()
    assert '[chardev "c"]' in written and 'size = "32"' in written


def test_options_merge_and_sugar():
    with Emulator("-machine", "none,graphics=off", "-machine", "graphics=on,mem-merge=off", "-append", "a=1,b c", "-m", "slots=2,maxmem=1G",
                  "-m", "size=64", machine=()) as e:
        q = e.qmp
        assert q.ok("qom-get", path="/machine", property="graphics") is True
        assert q.ok("qom-get", path="/machine", property="mem-merge") is False
        assert q.ok("qom-get", path="/machine", property="append") == "a=1,b c"
        assert q.ok("qom-get", path="/machine", property="memory") == {"size": 64 << 20, "max-size": 1 << 30, "slots": 2}


def test_nographic_monitor():
    with Emulator("-nographic", qmp=False) as e:
        assert e.io.until("(qemu) ")
        e.io.send("quit\n")
        assert e.end() == 0


@pytest.mark.parametrize("args", [["-nographic", "-serial", "mon:stdio"], ["-serial", "mon:stdio"], ["-nographic"],
                                  ["-chardev", "stdio,id=c,mux=on", "-mon", "c", "-serial", "chardev:c"]])
def test_serial_and_monitor_on_stdio(args):
    """The serial port has the focus; Ctrl-A c is the monitor."""
    with Emulator(*args, machine=("-M", "pc", "-accel", "qtest", "-m", "16", "-vga", "none"), qmp=False) as e:
        e.io.send("\x01c")
        assert e.io.until("(qemu) ") == b"QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) "
        e.io.send("quit\r")
        assert e.end() == 0


def test_linked_libraries():
    """What is linked costs time at each start."""
    out = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True).stdout
    names = set(re.findall(r"^\s*(lib[\w+-]+?)(?:-\d+\.[\d.]+)?\.so", out, re.M))
    allowed = {"libc", "libm", "libglib", "libjson-c", "libpcre2-8", "liburcu-memb", "liburcu-common", "libpixman-1", "libz", "libfdt",
               "libpng16", "libzstd", "libgcc_s", "libasan", "libubsan", "libstdc++"}
    assert names <= allowed, names - allowed


def test_start_up_is_cheap():
    """From exec to the first answer, and memory of our own. The bounds are far above what is measured, for slow machines."""
    times = []
    for _ in range(5):
        start = time.monotonic()
        with Emulator() as e:
            e.qmp.ok("query-status")
            times.append(time.monotonic() - start)
            rollup = open(f"/proc/{e.p.pid}/smaps_rollup").read()
    if "libasan" not in subprocess.run(["ldd", PROGRAM], capture_output=True, text=True).stdout:
        assert min(times) < 0.1
        assert int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)[1]) < 10240


def test_random_command_lines():
    """No words crash it: it ends with a status, quickly. Options that write or wait are left out."""
    rng = random.Random(3)
    options = [o["name"] for o in json.loads(run("-introspect")[1])["options"]]
    options = [o for o in options if o not in ("preconfig", "writeconfig", "pidfile", "D", "daemonize", "readconfig", "qtest-log")]
    words = ["none", "null", "a=b", "id=a", "size=4", ",", "=", "", "x,,y", "type=none", "{", '{"type":"none"}', "[", "chardev=a", "4G", "-1",
             "on", "help", "a.b=c", "a.0=x", "\xff", "none,graphics=maybe", "null,id=a", "99999999999999999999", "mux=on"]
    for _ in range(150):
        args = []
        for _ in range(rng.randint(1, 4)):
            args.append(rng.choice(["-", "--"]) + rng.choice(options))
            if rng.random() < 0.8:
                args.append(",".join(rng.choices(words, k=rng.randint(1, 3))))
        p = subprocess.run([PROGRAM, "-M", "none", "-device", "no-such-device", *args], input=b"", capture_output=True, timeout=10)
        assert p.returncode in (0, 1), (args, p.returncode, p.stderr)


def test_help_of_an_unknown_class():
    status, out, err = run("-device", "isa-seria,help")
    assert (status, out) == (1, "")
    assert "Device 'isa-seria' not found" in err and "'isa-serial'" in err


INI = """# as people write it
[machine]
  type = "pc"
  hpet = "off"
[memory]
  size = "64"
[smp-opts]
  cpus = "2"
[boot-opts]
  order = "d"
[device "ser"]
  driver = "isa-serial"
  index = "1"
[global]
  driver = "isa-debugcon"
  property = "iobase"
  value = "0xe9"
[device "dbg"]
  driver = "isa-debugcon"
  chardev = "c0"
[chardev "c0"]
  backend = "null"
"""
JSON = {"machine": {"type": "pc", "hpet": "off"}, "memory": 64, "smp-opts": {"cpus": 2}, "boot-opts": {"order": "d"},
        "device": [{"driver": "isa-serial", "id": "ser", "index": 1}, {"driver": "isa-debugcon", "id": "dbg", "chardev": "c0"}],
        "global": [{"driver": "isa-debugcon", "property": "iobase", "value": "0xe9"}],
        "chardev": {"backend": "null", "id": "c0"}, "nodefaults": True, "S": True}
ARGV = ["-M", "pc", "-machine", "hpet=off", "-m", "64", "-smp", "2", "-boot", "d", "-device", "isa-serial,id=ser,index=1",
        "-global", "isa-debugcon.iobase=0xe9", "-device", "isa-debugcon,id=dbg,chardev=c0", "-chardev", "null,id=c0"]


def facts(qmp):
    """What tells machines apart."""
    tree = qmp.hmp("info qom-tree")
    qtree = qmp.hmp("info qtree")
    machine = {p["name"]: qmp.ok("qom-get", path="/machine", property=p["name"]) for p in qmp.ok("qom-list", path="/machine")
               if not p["type"].startswith(("child", "link"))}
    return tree.replace("compat_monitor0", ""), qtree, machine, len(qmp.ok("query-cpus-fast")), qmp.ok("query-memory-size-summary")


def test_one_machine_by_every_way(tmp_path):
    """argv, sections, JSON, and what -writeconfig makes of each, give the same machine."""
    ini, js = tmp_path / "m.cfg", tmp_path / "m.json"
    ini.write_text(INI)
    js.write_text(json.dumps(JSON))
    common = ["-nodefaults", "-S"]
    ways = {"argv": ARGV + common, "ini": ["-readconfig", str(ini)] + common, "json": ["-readconfig", str(js)]}
    found = {}
    for name, args in list(ways.items()):
        for kind in ("cfg", "json"):
            out = str(tmp_path / f"{name}-out.{kind}")
            with Emulator(*args, "-writeconfig", out, machine=()) as e:
                found[name] = facts(e.qmp)
                assert e.qmp.ok("query-memory-size-summary")["base-memory"] == 64 << 20
            text = open(out).read().replace("writeconfig", "")
            if kind == "json":  # its own monitor is in there
                document = json.loads(text)
                assert document.pop("qmp") and document.pop("display")
                open(out, "w").write(json.dumps(document))
            else:
                open(out, "w").write(re.sub(r"\[(qmp|display)\]\n.*\n", "", text))
            with Emulator("-readconfig", out, *common, machine=()) as e:
                found[name, kind] = facts(e.qmp)
    for way, what in found.items():
        assert what == found["argv"], way


@pytest.mark.parametrize("text, error", [
    ('[nosuch]\n', ":1: There is no option group 'nosuch'"),
    ('[machine]\ntype = pc\n', ":2: an item is key = \"value\""),
    ('[memory]\nsiz = "1"\n', ": [memory]: Invalid parameter 'siz'\nDid you mean 'size'?"),
    ('{"machin": {}}', ': "machin": there is no such option\nDid you mean \'machine\'?'),
    ('{"smp": {"cpu": 2}}', ': "smp": Invalid parameter \'cpu\'\nDid you mean \'cpus\'?'),
    ('{"smp": ', ": "),
])
def test_bad_config_files(tmp_path, text, error):
    f = tmp_path / "x"
    f.write_text(text)
    status, out, err = run("-readconfig", str(f))
    assert status == 1 and not out
    assert err.startswith(f"{ME}-readconfig {f}: {f}{error}"), err


def test_set(tmp_path):
    with Emulator("-device", "isa-serial,id=ser", "-set", "device.ser.index=1", "-S", machine=("-M", "pc")) as e:
        assert e.qmp.ok("qom-get", path="ser", property="index") == 1


def test_descriptor_sets(tmp_path):
    """-add-fd, add-fd, and files opened by them."""
    log = open(tmp_path / "log", "wb")
    with Emulator("-add-fd", f"fd={log.fileno()},set=2,opaque=hello", "-chardev", "null,id=n,logfile=/dev/fdset/2",
                  "-chardev", "file,id=f,path=/dev/fdset/2", pass_fds=[log.fileno()]) as e:
        sets = e.qmp.ok("query-fdsets")
        assert [s["fdset-id"] for s in sets] == [2] and sets[0]["fds"][0]["opaque"] == "hello"
        assert e.qmp.error("add-fd") == ("GenericError", "No file descriptor supplied via SCM_RIGHTS")
        assert e.qmp.error("remove-fd", fdset_id=3)[1] == "File descriptor named 'fdset-id:3' not found"
        backend = {"type": "file", "data": {"out": "/dev/fdset/7"}}
        assert "there is no descriptor set 7" in e.qmp.error("chardev-add", id="x", backend=backend)[1]
        backend["data"]["out"] = "/dev/fdset/2"
        e.qmp.ok("chardev-add", id="x", backend=backend)
        e.qmp.ok("remove-fd", fdset_id=2)
        assert e.qmp.ok("query-fdsets") == []
    status, out, err = run("-M", "none", "-add-fd", "fd=1,set=1")
    assert status == 1 and "-add-fd fd=1,set=1: fd cannot be a standard I/O stream" in err


def test_sandbox():
    """Threads of the machine are made under it; a process is not, and other priorities fail. /proc tells the filter."""
    with Emulator("-S", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-smp", "2",
                  machine=("-M", "pc")) as e:
        for cpu in e.qmp.ok("query-cpus-fast"):
            status = open(f"/proc/{e.p.pid}/task/{cpu['thread-id']}/status").read()
            assert re.search(r"^Seccomp:\s*2$", status, re.M) and re.search(r"^NoNewPrivs:\s*1$", status, re.M)
        assert e.qmp.ok("query-status")["status"] == "prelaunch"
        e.qmp.ok("cont")
        e.qmp.ok("chardev-add", id="p", backend={"type": "pty", "data": {}})
        e.qmp.ok("quit")
        assert e.end() == 0
    status, out, err = run("-M", "none", "-sandbox", "on,spawn=maybe")
    assert status == 1 and "Parameter 'spawn' does not accept value 'maybe'" in err


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_run_with(tmp_path):
    with Emulator("-run-with", f"chroot={tmp_path},user=65534:65533", "-sandbox", "on,elevateprivileges=deny") as e:
        e.qmp.ok("query-status")
        status = open(f"/proc/{e.p.pid}/status").read()
        assert re.search(r"^Uid:\s*65534\s*65534\s*65534", status, re.M) and re.search(r"^Gid:\s*65533\s*65533", status, re.M)
        assert os.readlink(f"/proc/{e.p.pid}/root") == str(tmp_path)
    for args, error in (("user=nosuchuser", "User \"nosuchuser\" doesn't exist (and is not <uid>:<gid>)"),
                        ("chroot=/nosuch", "chroot failed: '/nosuch': No such file or directory"), ("async-teardown=on", "async-teardown=on is not here")):
        status, out, err = run("-M", "none", "-run-with", args)
        assert status == 1 and err.startswith(f"{ME}-run-with {args}: {error}"), err


def machine_types():
    return [m["name"][:-len("-machine")] for m in json.loads(run("-introspect")[1])["classes"] if m["kind"] == "machine" and not m.get("abstract")]


@pytest.mark.parametrize("machine", machine_types())
def test_round_trip(tmp_path, machine):
    """What query-config says makes the same machine: same tree, same values from the same places; and again."""
    args = ["-nodefaults", "-S", "-chardev", "null,id=c0", "-name", "a,,b"]
    if machine != "none":
        args += ["-m", "48", "-smp", "2,cores=2", "-boot", "order=c,menu=on", "-device", "isa-serial,id=ser,index=1,chardev=c0",
                 "-device", "VGA,vgamem_mb=8", "-global", "isa-debugcon.iobase=0x402", "-object", "memory-backend-ram,id=m0,size=48M",
                 "-machine", "memory-backend=m0,hpet=off", "-cpu", "qemu64,-sse3", "-rtc", "base=2020-02-02"]
    with Emulator(*args, machine=("-M", machine)) as e:
        e.qmp.ok("chardev-add", id="c1", backend={"type": "ringbuf", "data": {"size": 4096}})
        first, before = e.qmp.ok("query-config"), facts(e.qmp)
    f = tmp_path / "config.json"
    f.write_text(json.dumps(first))
    assert {c["id"] for c in first["config"]["chardev"]} == {"c0", "c1"}
    if machine != "none":
        assert first["values"]["/machine/peripheral/ser"]["index"] == {"value": 1, "origin": "user"}
        assert first["values"]["/machine"]["hpet"] == {"value": False, "origin": "user"}
        assert first["values"]["/machine"]["i8042"] == {"value": True, "origin": "class"}
    with Emulator("-S", "-readconfig", str(f), machine=()) as e:
        again = e.qmp.ok("query-config")
        assert again["config"] == first["config"] and facts(e.qmp) == before
        assert again["values"] == first["values"]
