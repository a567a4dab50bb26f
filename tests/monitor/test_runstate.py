"""What the guest asks for, with a test in the guest's place (-accel qtest): resets, power, panics, and how they end."""
import pytest
from emulator import Emulator, Qmp, connect


class Guest:
    """A PC whose ports the test drives, and its QMP."""

    def __init__(self, tmp_path, *args):
        self.e = Emulator("-accel", "qtest", "-qtest", f"unix:{tmp_path}/t,server=on,wait=off", "-qtest-log", "none", "-serial", "none", "-vga", "none",
                          *args, machine=("-M", "pc", "-m", "16"))
        self.qmp = self.e.qmp
        self.t = connect(tmp_path / "t")

    def ask(self, line):
        self.t.send(line + "\n")
        return self.t.line().decode().strip()

    def out(self, port, value, size="b"):
        self.t.send(f"out{size} {port:#x} {value:#x}\n")

    def pci(self, devfn, reg, value, size="l"):
        self.out(0xcf8, 0x80000000 | devfn << 8 | reg & 0xfc, "l")
        self.out(0xcfc + (reg & 3), value, size)

    def power_off(self):
        """ACPI S5 by the PIIX4: 82371AB, 7.2.3; PMBA at 0x40, enabled by PMREGMISC."""
        self.pci(0x0b, 0x40, 0x601)
        self.pci(0x0b, 0x80, 1, "b")
        self.out(0x604, 1 << 13, "w")

    def reboot(self):
        self.out(0xcf9, 2)
        self.out(0xcf9, 6)


@pytest.fixture
def guest(tmp_path):
    guests = []

    def make(*args):
        guests.append(Guest(tmp_path, *args))
        return guests[-1]
    yield make
    for g in guests:
        g.e.__exit__()


def test_reboot(guest):
    g = guest()
    g.reboot()
    assert g.qmp.event("RESET")["data"] == {"guest": True, "reason": "guest-reset"}
    assert g.qmp.ok("query-status")["status"] == "running"


@pytest.mark.parametrize("args", [["-no-reboot"], ["-action", "reboot=shutdown"]])
def test_no_reboot(guest, args):
    g = guest(*args)
    g.reboot()
    assert g.qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-reset"}
    assert g.e.end() == 0


def test_power_off(guest):
    g = guest()
    g.power_off()
    assert g.qmp.event("SHUTDOWN")["data"] == {"guest": True, "reason": "guest-shutdown"}
    assert g.e.end() == 0


def test_suspend_and_wake_up(guest):
    g = guest()
    assert g.qmp.error("system_wakeup")[1] == "Unable to wake up: guest is not in suspended state"
    for wake in ("system_wakeup", "system_powerdown"):
        g.pci(0x0b, 0x40, 0x601)
        g.pci(0x0b, 0x80, 1, "b")
        g.out(0x604, 1 << 13 | 1 << 10, "w")  # S3
        g.qmp.event("SUSPEND")
        assert g.qmp.ok("query-status") == {"status": "suspended", "running": False}
        g.qmp.ok("stop")
        assert g.qmp.ok("query-status") == {"status": "paused", "running": False}
        g.qmp.ok("cont")
        assert g.qmp.ok("query-status")["status"] == "suspended"
        g.qmp.ok(wake)
        g.qmp.event("WAKEUP")
        assert g.qmp.ok("query-status")["status"] == "running"


def test_no_shutdown(guest):
    """As libvirt uses it: the machine stays, stopped, until it is reset."""
    g = guest("-no-shutdown")
    g.power_off()
    assert g.qmp.event("SHUTDOWN")["data"]["reason"] == "guest-shutdown"
    g.qmp.event("STOP")
    assert g.qmp.ok("query-status") == {"status": "shutdown", "running": False}
    assert g.qmp.error("cont")[1] == "Resetting the Virtual Machine is required"
    g.qmp.ok("system_reset")
    assert g.qmp.ok("query-status")["status"] == "paused"
    g.qmp.ok("cont")
    assert g.qmp.ok("query-status")["status"] == "running"
    g.qmp.ok("set-action", shutdown="poweroff")
    g.power_off()
    assert g.e.end() == 0


@pytest.mark.parametrize("value", [0, 1, 3, 0x7f])
def test_debug_exit(guest, value):
    g = guest("-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-no-shutdown")
    g.out(0xf4, value)
    assert g.e.end() == (value << 1 | 1) & 255


def test_power_button(guest):
    """system_powerdown sets PWRBTN_STS and, when enabled, raises the SCI."""
    g = guest()
    g.pci(0x0b, 0x40, 0x601)
    g.pci(0x0b, 0x80, 1, "b")
    g.out(0x602, 0x100, "w")
    g.ask("inw 0x600")
    g.t.buf = b""
    g.qmp.ok("system_powerdown")
    assert g.qmp.event("POWERDOWN")


@pytest.mark.parametrize("action, state, event", [("pause", "guest-panicked", "pause"), ("none", "running", "run")])
def test_panic(guest, action, state, event):
    g = guest("-device", "pvpanic", "-action", f"panic={action}")
    g.out(0x505, 1)
    assert g.qmp.event("GUEST_PANICKED")["data"]["action"] == event
    assert g.qmp.ok("query-status")["status"] == state


@pytest.mark.parametrize("args, status", [([], 0), (["-action", "panic=exit-failure"], 1)])
def test_panic_ends(guest, args, status):
    g = guest("-device", "pvpanic", *args)
    g.out(0x505, 1)
    assert g.qmp.event("GUEST_PANICKED")["data"]["action"] == "poweroff"
    assert g.e.end() == status


def test_serial_and_monitor_share_a_mux(guest, tmp_path):
    """What the guest writes is seen, what is typed goes to who has the focus, and Ctrl-A b is a break."""
    g = guest("-chardev", f"socket,id=c,path={tmp_path}/s,server=on,wait=off,mux=on", "-mon", "c", "-device", "isa-serial,chardev=c,index=1")
    s = connect(tmp_path / "s")
    for c in b"hello":
        g.out(0x2f8, c)
    assert s.until("hello")
    s.send("k")
    while g.ask("inb 0x2fd")[-1] not in "13579":
        pass
    g.t.buf = b""
    s.send("\x01c")
    s.until("QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) ")
    s.send("info status\r")
    s.until("VM status: running\r\n(qemu) ")


@pytest.mark.parametrize("clock", ["host", "rt", "vm"])
def test_rtc(guest, clock):
    """The calendar that the guest reads: BCD, registers of the MC146818A."""
    g = guest("-S", "-rtc", f"base=2006-06-17T16:01:21,clock={clock}")

    def cmos(reg):
        g.ask(f"outb 0x70 {reg}")
        return int(g.ask("inb 0x71").split()[1], 16)
    assert [cmos(r) for r in (0x32, 9, 8, 7, 4, 2)] == [0x20, 0x06, 0x06, 0x17, 0x16, 0x01]


def test_events_are_limited(guest):
    """RTC_CHANGE at most once a second: the first at once, then the latest."""
    g = guest()
    for year in range(30, 60):
        g.out(0x70, 9)
        g.out(0x71, (year // 10) << 4 | year % 10)
    first = g.qmp.event("RTC_CHANGE")
    last = g.qmp.event("RTC_CHANGE")
    assert last["data"]["offset"] - first["data"]["offset"] > 20 * 365 * 86400

    def seconds(e):
        return e["timestamp"]["seconds"] + e["timestamp"]["microseconds"] / 1e6
    assert seconds(last) - seconds(first) < 1  # told when it happened, not when it was sent
    assert not [e for e in g.qmp.events if e["event"] == "RTC_CHANGE"]


def test_preconfig(tmp_path):
    with Emulator("-preconfig", machine=("-M", "pc", "-m", "16", "-accel", "qtest", "-vga", "none", "-serial", "none")) as e:
        q = e.qmp
        assert q.ok("query-version")
        assert q.error("cont")[1] == "The command 'cont' is permitted only after machine initialization has completed"
        assert q.ok("query-status")["status"] == "prelaunch"
        q.ok("x-exit-preconfig")
        assert q.ok("query-status")["status"] == "running"
        assert q.error("x-exit-preconfig")[1] == "The command is permitted only before machine initialization"


def test_globals(tmp_path):
    with Emulator("-global", "isa-debugcon.readback=0x55", "-global", "driver=isa-debugcon,property=iobase,value=0x402", "-debugcon", "null",
                  machine=("-M", "pc", "-m", "16", "-accel", "qtest", "-serial", "none")) as e:
        path = next(p["name"] for p in e.qmp.ok("qom-list", path="/machine/peripheral-anon") if "isa-debugcon" in p["type"])
        assert e.qmp.ok("qom-get", path=f"/machine/peripheral-anon/{path}", property="readback") == 0x55
        assert e.qmp.ok("qom-get", path=f"/machine/peripheral-anon/{path}", property="iobase") == 0xe9  # -debugcon says it itself


def test_device_add_and_del(guest):
    g = guest()
    g.qmp.ok("device-list-properties", typename="isa-debug-exit")
    assert g.qmp.error("device_add", driver="no-such-device")[1] == "'no-such-device' is not a valid device model name"
    assert g.qmp.error("device_del", id="nobody") == ("DeviceNotFound", "Device 'nobody' not found")


def test_two_monitors_of_one_program(guest, tmp_path):
    g = guest("-qmp", f"unix:{tmp_path}/q,server=on,wait=off")
    q = Qmp(connect(tmp_path / "q"))
    g.reboot()
    assert q.event("RESET") and g.qmp.event("RESET")
