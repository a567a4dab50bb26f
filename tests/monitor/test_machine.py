"""A machine with processors, as monitors see it: started, stopped, reset, looked into while it runs."""
import re
import signal
import time

import pytest
from emulator import Emulator, run

PC = ("-M", "pc", "-m", "32")


@pytest.fixture(scope="module")
def qmp():
    with Emulator("-S", "-smp", "2", machine=PC) as e:
        yield e.qmp


def test_cpus(qmp):
    cpus = qmp.ok("query-cpus-fast")
    assert [c["cpu-index"] for c in cpus] == [0, 1]
    assert all(c["target"] == "x86_64" and c["qom-path"].startswith("/machine/") for c in cpus)
    assert len({c["thread-id"] for c in cpus}) == 2
    assert qmp.hmp("info cpus").startswith("* CPU #0: thread_id=")
    assert qmp.ok("human-monitor-command", command_line="info cpus", cpu_index=1).splitlines()[1].startswith("* CPU #1")
    assert qmp.error("human-monitor-command", command_line="info cpus", cpu_index=2)[0] == "GenericError"


def test_machines(qmp):
    machines = {m["name"]: m for m in qmp.ok("query-machines")}
    assert machines["none"]["cpu-max"] == 1
    pc = next(m for m in machines.values() if m.get("alias") == "pc")
    assert pc["is-default"] and pc["cpu-max"] > 1 and pc["default-cpu-type"] == "qemu64-x86_64-cpu"


def test_registers(qmp):
    """After reset: SDM volume 3, table 10-1."""
    text = qmp.hmp("info registers")
    assert re.search(r"EIP=0000fff0 EFL=00000002 .*HLT=0", text) and "CS =f000 ffff0000 0000ffff" in text
    assert qmp.hmp("info registers -a").count("CPU#") == 2
    assert qmp.hmp("p/x $eip") == "0xfff0\r\n"
    assert qmp.hmp("p/x $eip + 0x10") == "0x10000\r\n"
    assert qmp.hmp("p $nonsense").startswith("unknown register\r\n")


@pytest.mark.parametrize("line, pattern", [
    ("xp/4xb 0xfffffff0", r"00000000fffffff0:( 0x[0-9a-f]{2}){4}\r\n"),
    ("xp/9xb 0x1000", r"0000000000001000:( 0x00){8}\r\n0000000000001008: 0x00\r\n"),
    ("xp/4db 0x1000", r"0000000000001000:(   0){4}\r\n"), ("xp/2ow 0x1000", r"0000000000001000:(           0){2}\r\n"),
    ("xp/2ug 0x1000", r"0000000000001000:(                    0){2}\r\n"),
    ("xp/20c 0x1000", r"0000000000001000:( '\\x00'){16}\r\n0000000000001010:( '\\x00'){4}\r\n"),
    ("xp/5xw 0xfffffff0", r"00000000fffffff0:( 0x[0-9a-f]{8}){4}\r\n0000000100000000: Cannot access memory\r\n"),
    ("x/1i 0xfffffff0", r"0xfffffff0:  ea( [0-9a-f]{2}){4}           ljmpw    \$0xf000:\$0xe05b\r\n"),
    ("xp/3i 0x1000", r"(0x0000100[0-9a-f]:  00 00                    addb     %al, \(%bx, %si\)\r\n){3}"),
    ("x/xb 0xfffffff0", r"00000000fffffff0: 0xea\r\n"),
    ("i/b 0x402", r"portb\[0x0402\] = 0x[0-9a-f]{2}\r\n"), ("o/b 0x80 1", ""),
    ("sum 0x1000 4096", "00000\r\n"), ("gva2gpa 0x1000", "gpa: 0x1000\r\n"),
    ("gpa2hva 0x1000", r"Host virtual address for 0x1000 \(\S+\) is 0x[0-9a-f]+\r\n"),
    ("gpa2hva 0x12345678901", "Error: No memory is mapped at address 0x12345678901\r\n"),
    ("info mem", "PG disabled\r\n"), ("info tlb", "PG disabled\r\n"),
    ("info mtree", r"address-space: (?s:.*)"), ("info qtree", r"bus: main-system-bus\r\n(?s:.*)isa-serial(?s:.*)"),
    ("info pci", r"  Bus  0, device   0, function 0:\r\n(?s:.*)"), ("info pic", r"(?s:.*)pic0: irr=(?s:.*)"), ("info jit", "(?s:.+)"),
    ("info qom-tree", r"/machine \(pc-i440fx-10.0-machine\)\r\n(?s:.*)"), ("info irq", "(?s:.*)"),
])
def test_looking(qmp, line, pattern):
    assert re.fullmatch(pattern, qmp.hmp(line)), (line, qmp.hmp(line))


def test_memory_to_files(qmp, tmp_path):
    qmp.ok("pmemsave", val=0xfffff000, size=4096, filename=str(tmp_path / "p"))
    qmp.ok("memsave", val=0xfffff000, size=4096, filename=str(tmp_path / "v"))
    data = (tmp_path / "p").read_bytes()
    assert len(data) == 4096 and data == (tmp_path / "v").read_bytes() and data[-16] == 0xEA
    assert "Invalid addr" in qmp.error("pmemsave", val=1 << 45, size=16, filename=str(tmp_path / "x"))[1]


def test_screendump(qmp, tmp_path):
    qmp.ok("screendump", filename=str(tmp_path / "a.ppm"))
    assert (tmp_path / "a.ppm").read_bytes().startswith(b"P6\n")
    assert qmp.hmp(f"screendump {tmp_path}/b.png -f png") == ""
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert qmp.error("screendump", filename="x", head=1)[1] == "'head' must be specified together with 'device'"
    assert qmp.error("screendump", filename="x", format="gif")[0] == "GenericError"


def test_stop_cont_reset_while_it_runs():
    """Whatever the guest does, the monitor is served; nothing is lost or waits for ever."""
    with Emulator("-smp", "2", machine=PC) as e:
        for i in range(60):
            e.qmp.ok("stop")
            assert e.qmp.ok("query-status")["status"] == "paused"
            e.qmp.ok("cont")
            if i % 3 == 0:
                e.qmp.ok("system_reset")
            e.qmp.hmp("info registers -a")
            e.qmp.hmp("x/4xw 0")
            e.qmp.hmp("info jit")
        names = [x["event"] for x in e.qmp.events]
        assert names.count("STOP") == 60 and names.count("RESUME") == 60 and names.count("RESET") >= 20
        e.qmp.ok("quit")
        assert e.end() == 0


def test_end_while_it_runs():
    for _ in range(10):
        with Emulator("-smp", "2", machine=PC) as e:
            e.p.send_signal(signal.SIGTERM)
            assert e.end() == 0


@pytest.mark.parametrize("args, error", [
    (["-cpu", "nonsense"], "unable to find CPU model 'nonsense'"), (["-cpu", "qemu65"], "Did you mean 'qemu64'?"),
    (["-cpu", "qemu64,nonsense=on", "-S"], "nonsense"), (["-accel", "nonsense"], "-accel nonsense: "),
    (["-vga", "nonsense"], "unknown vga type: nonsense"), (["-rtc", "base=x"], "invalid datetime format 'x'"),
    (["-bios", "/nonexistent"], "/nonexistent"), (["-smp", "2,sockets=3"], "Invalid CPU topology"),
    (["-device", "isa-serial,index=9"], "index"), (["-device", "isa-serial,,index=1"], "Two commas are one comma inside a value"),
    (["-device", '{"driver": "isa-serial", "index": "1"}'], "Invalid parameter type for 'index', expected: integer"),
])
def test_errors(args, error):
    status, out, err = run("-M", "pc", "-display", "none", "-monitor", "none", "-serial", "none", *args)
    assert status == 1 and error in err, err


def test_facts(qmp):
    """Shapes that clients read; values by the machine's own other answers."""
    buses = qmp.ok("query-pci")
    assert [b["bus"] for b in buses] == [0]
    functions = {(d["slot"], d["function"]): d for d in buses[0]["devices"]}
    assert functions[0, 0]["class_info"] == {"desc": "Host bridge", "class": 0x600}
    assert functions[1, 1]["regions"] == [{"bar": 4, "type": "io", "address": -1, "size": 16}]
    assert qmp.hmp("info pci").count("Bus  0, device") == len(functions)
    size = qmp.ok("query-memory-size-summary")["base-memory"]
    assert [(m["id"], m["size"]) for m in qmp.ok("query-memdev")] == [("pc.ram", size)]
    assert qmp.hmp("info memory_size_summary") == f"base memory: {size}\r\nplugged memory: 0\r\n"
    assert qmp.ok("query-current-machine") == {"wakeup-suspend-support": True}
    assert qmp.ok("query-display-options") == {"type": "none"}
    assert "pc.ram" in qmp.ok("x-query-ramblock")["human-readable-text"]
    text = qmp.ok("x-query-irq")["human-readable-text"]
    assert text == qmp.hmp("info irq").replace("\r", "")


def test_keys(qmp):
    """A key that is pressed reaches the keyboard: its scan code is in the controller's output buffer."""
    qmp.ok("send-key", keys=[{"type": "qcode", "data": "a"}, {"type": "number", "data": 0x9d}], hold_time=1)
    assert qmp.hmp("i /b 0x60") == "portb[0x0060] = 0x1c\r\n"
    qmp.ok("input-send-event", events=[{"type": "key", "data": {"key": {"type": "qcode", "data": "b"}, "down": True}},
                                       {"type": "rel", "data": {"axis": "x", "value": 3}},
                                       {"type": "btn", "data": {"button": "left", "down": True}}])
    assert qmp.hmp("sendkey ctrl-alt-f1 1") == "" and qmp.hmp("sendkey ctrl-nokey") == "invalid parameter: nokey\r\n"
    assert qmp.hmp("mouse_move 1 -1") == "" and qmp.hmp("mouse_button 1") == ""
    assert qmp.error("send-key", keys=[{"type": "number", "data": 0x7f}])[1] == "there is no key with the scan code 127"
    assert "at most 32" in qmp.error("send-key", keys=[{"type": "qcode", "data": "a"}] * 33)[1]


def test_trace_events(qmp):
    assert qmp.error("trace-event-get-state", name="nosuch") == ("GenericError", 'unknown event "nosuch"')
    assert qmp.ok("trace-event-get-state", name="nosuch*") == []
    for point in qmp.ok("trace-event-get-state", name="*")[:1]:
        qmp.ok("trace-event-set-state", name=point["name"], enable=True)
        assert qmp.ok("trace-event-get-state", name=point["name"])[0]["state"] == "enabled"
        qmp.hmp(f"trace-event {point['name']} off")
        assert f"{point['name']} : state 0" in qmp.hmp("info trace-events")


@pytest.mark.parametrize("kind, more", [("ram", ""), ("ram", ",share=on,prealloc=on"), ("memfd", ""), ("file", ",share=on,mem-path={}/ram"),
                                        ("file", ",mem-path={}")])
def test_memory_backends(tmp_path, kind, more):
    words = f"memory-backend-{kind},id=pc.ram,size=32M" + more.format(tmp_path)
    with Emulator("-object", words, "-machine", "memory-backend=pc.ram", machine=("-M", "pc")) as e:
        assert e.qmp.ok("query-memory-size-summary")["base-memory"] == 32 << 20
        dev, = e.qmp.ok("query-memdev")
        assert (dev["id"], dev["size"], dev["share"]) == ("pc.ram", 32 << 20, "share=on" in more or kind == "memfd")
        assert "in use" in e.qmp.error("object-del", id="pc.ram")[1]
        end = time.monotonic() + 10
        while "/ram" in more and not any((tmp_path / "ram").read_bytes()[0x400:0x500]):  # until the firmware has written there
            assert time.monotonic() < end
            time.sleep(0.02)
        e.qmp.ok("stop")
        e.qmp.ok("pmemsave", val=0xf0000, size=16, filename=str(tmp_path / "saved"))
        e.qmp.ok("quit")
        assert e.end() == 0
    assert "/ram" not in more or (tmp_path / "ram").stat().st_size == 32 << 20


def test_memory_backend_errors(tmp_path):
    ram = "memory-backend-ram,id=m,size=32M"
    for args, error in (
        (["-object", ram, "-M", "pc,memory-backend=m", "-m", "64"], "Machine memory size does not match the size of the memory backend"),
        (["-M", "pc,memory-backend=m"], "Parameter 'memory-backend': "),
        (["-object", "memory-backend-ram,id=m"], "Parameter 'size' is missing"),
        (["-object", "memory-backend-file,id=m,size=1M,mem-path=/nosuch/x"], "can't open backing store /nosuch/x for guest RAM: No such file"),
    ):
        status, out, err = run("-display", "none", *args)
        assert status == 1 and error in err, err
