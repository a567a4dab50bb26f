"""Devices of machine pc as a guest's processor would find them, driven over the qtest protocol."""
import random
import subprocess
import sys
import pathlib
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from qtest import PROGRAM, QTest, QTestError  # noqa: E402


def test_protocol():
    with QTest("-M", "pc", "-m", "16") as q:
        assert q.cmd("endianness") == ["little"]
        data = random.randbytes(5000)
        q.write(0x1003, data)
        assert q.read(0x1003, 5000) == data
        assert q.readl(0x1003) == int.from_bytes(data[:4], "little")
        q.memset(0x2000, 16, 0xAB)
        assert q.readq(0x2008) == 0xABABABABABABABAB
        assert q.readl(16 << 20) == 0xFFFFFFFF  # past the end of RAM
        with pytest.raises(QTestError):
            q.cmd("nonsense")
        with pytest.raises(QTestError):
            q.irq_intercept_in("nobody")
        assert q.clock_step(0) == 0
        assert q.clock_step(1000) == 1000
        assert q.clock_set(5000) == 5000


def test_pci_functions():
    """What is where: the numbers are those of QEMU's pc."""
    with QTest("-M", "pc") as q:
        found = {}
        for slot in range(32):
            for fn in range(8):
                v = q.pci_read(slot, fn, 0, 4)
                if v != 0xFFFFFFFF:
                    found[slot, fn] = v
        assert found[0, 0] == 0x12378086
        assert found[1, 0] == 0x70008086
        assert found[1, 1] == 0x70108086
        assert found[1, 3] == 0x71138086


def test_timer_interrupt():
    """Counter 0 of the 8254 in mode 2 raises line 0 of the I/O APIC's inputs at its rate."""
    with QTest("-M", "pc") as q:
        q.irq_intercept_in("ioapic")
        q.outb(0x43, 0x34)
        q.outb(0x40, 0xA9)
        q.outb(0x40, 0x04)  # 1193 ticks of 838.1 ns: about a millisecond
        q.clock_step(10_500_000)
        raised = q.raised.get(2, 0) + q.raised.get(0, 0)
        assert 9 <= raised <= 22  # each period is told once or, through two inputs, twice


def wait_not_busy(q, port):
    for _ in range(2000):
        status = q.inb(port)
        if not status & 0x80:
            return status
        time.sleep(0.005)
    raise TimeoutError


def test_ide_disk(tmp_path):
    """A sector by PIO and some by bus master, through the machine's own wiring."""
    image = tmp_path / "disk.img"
    data = random.randbytes(1 << 20)
    image.write_bytes(data)
    with QTest("-M", "pc", "-drive", f"file={image},format=raw,if=ide") as q:
        q.irq_intercept_in("ioapic")
        q.outb(0x1F6, 0xE0)
        q.outb(0x1F7, 0xEC)
        assert wait_not_busy(q, 0x3F6) == 0x58
        words = b"".join(q.inw(0x1F0).to_bytes(2, "little") for _ in range(256))
        model = bytes(words[i ^ 1] for i in range(54, 94)).decode()
        assert model.rstrip() == "QEMU HARDDISK"
        assert int.from_bytes(words[120:124], "little") == len(data) // 512
        assert q.irq(14)
        q.inb(0x1F7)
        assert not q.irq(14)

        q.pci_write(1, 1, 0x20, 4, 0xC000)
        q.pci_write(1, 1, 4, 2, 5)
        q.write(0x10000, (0x20000).to_bytes(4, "little") + (0x80000000 | 16 * 512).to_bytes(4, "little"))
        for port, value in [(0x1F2, 16), (0x1F3, 100), (0x1F4, 1), (0x1F5, 0), (0x1F6, 0xE0), (0x1F7, 0xC8)]:
            q.outb(port, value)
        q.outl(0xC004, 0x10000)
        q.outb(0xC000, 8)
        q.outb(0xC000, 9)
        assert wait_not_busy(q, 0x3F6) == 0x50
        assert q.inb(0xC002) & 7 == 4
        assert q.read(0x20000, 16 * 512) == data[356 * 512:372 * 512]


def test_random_ports():
    """Random accesses to every port but those that end the machine: it goes on answering."""
    skip = {0x64, 0x92, 0xCF9, 0x501, 0x604, 0x605, 0xB004, 0xB005, 0xB2}
    rnd = random.Random(1)
    with QTest("-M", "pc", "-m", "16") as q:
        for _ in range(3000):
            port = rnd.choice([rnd.randrange(0x400), rnd.randrange(0x10000)])
            if skip & set(range(port, port + 4)):
                continue
            name = rnd.choice("bwl")
            if rnd.random() < 0.5:
                q.cmd("in" + name, hex(port))
            else:
                q.cmd("out" + name, hex(port), hex(rnd.getrandbits(32)))
            if rnd.random() < 0.02:
                q.clock_step(rnd.randrange(1, 10_000_000))
        assert q.cmd("endianness") == ["little"]


def test_time_is_the_clients_only_under_qtest():
    p = subprocess.Popen([PROGRAM, "-accel", "tcg", "-M", "none", "-display", "none", "-qtest", "stdio", "-qtest-log", "none"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for command in (b"clock_step 100\n", b"clock_set 5\n"):
            p.stdin.write(command)
            p.stdin.flush()
            answer = p.stdout.readline()
            assert answer.startswith(b"FAIL " + command.split()[0]) and b"-accel qtest" in answer
    finally:
        p.kill()
        p.wait()


def test_code_up_to_the_end_of_4_gib(tmp_path):
    """Firmware of zeros runs into the last bytes below 4 GiB and on: no crash, and QMP still answers."""
    (tmp_path / "bios").write_bytes(bytes(262144))
    p = subprocess.Popen([PROGRAM, "-accel", "tcg", "-M", "pc", "-m", "32", "-display", "none", "-bios", tmp_path / "bios",
                          "-qmp", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(0.5)
    out, _ = p.communicate(b'{"execute":"qmp_capabilities"}{"execute":"query-status"}{"execute":"quit"}', timeout=20)
    assert b'"running": true' in out and p.returncode == 0
