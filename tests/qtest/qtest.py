"""Drives a machine in place of its processors: the client of accelerator qtest (accel/qtest/qtest.h).

    with QTest("-M", "pc", "-drive", "file=disk.img,format=raw") as q:
        q.outb(0x70, 0x10)
        assert q.inb(0x71) == 0
        q.irq_intercept_in("ioapic")
        q.clock_step(1_000_000)
        assert q.irq(4)

QEMU in the environment is the program; without it, build/qemu-system-x86_64.
"""
import os
import pathlib
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("QEMU") or str(ROOT / "build/qemu-system-x86_64")
TIMEOUT = 20


class QTestError(Exception):
    """The server answered FAIL."""


class QTest:
    def __init__(self, *args):
        self.dir = tempfile.TemporaryDirectory()
        path = self.dir.name + "/qtest"
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(1)
        server.settimeout(TIMEOUT)
        self.process = subprocess.Popen(
            [PROGRAM, "-accel", "qtest", "-qtest", "unix:" + path, "-qtest-log", "none", "-display", "none", "-nodefaults",
             *args], stdin=subprocess.DEVNULL)
        try:
            self.socket, _ = server.accept()
        except TimeoutError:
            self.close()
            raise
        finally:
            server.close()
        self.socket.settimeout(TIMEOUT)
        self.buf = b""
        self.irqs = {}    # number of an intercepted line -> its level
        self.raised = {}  # -> how often it was raised

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.process.terminate()
        try:
            self.status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
        if hasattr(self, "socket"):
            self.socket.close()
        self.dir.cleanup()

    def line(self):
        while b"\n" not in self.buf:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(f"the program ended: {self.process.wait(TIMEOUT)}")
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return line.decode()

    def cmd(self, *words):
        """Sends a command; the words after OK."""
        self.socket.sendall((" ".join(str(w) for w in words) + "\n").encode())
        while True:
            kind, *rest = self.line().split(" ")
            if kind == "IRQ":
                n, up = int(rest[1]), rest[0] == "raise"
                self.irqs[n] = up
                self.raised[n] = self.raised.get(n, 0) + up
            elif kind == "OK":
                return rest
            else:
                raise QTestError(" ".join(rest))

    def _get(self, name, addr):
        return int(self.cmd(name, hex(addr))[0], 16)

    def inb(self, port):
        return self._get("inb", port)

    def inw(self, port):
        return self._get("inw", port)

    def inl(self, port):
        return self._get("inl", port)

    def outb(self, port, value):
        self.cmd("outb", hex(port), hex(value))

    def outw(self, port, value):
        self.cmd("outw", hex(port), hex(value))

    def outl(self, port, value):
        self.cmd("outl", hex(port), hex(value))

    def readb(self, addr):
        return self._get("readb", addr)

    def readw(self, addr):
        return self._get("readw", addr)

    def readl(self, addr):
        return self._get("readl", addr)

    def readq(self, addr):
        return self._get("readq", addr)

    def writeb(self, addr, value):
        self.cmd("writeb", hex(addr), hex(value))

    def writew(self, addr, value):
        self.cmd("writew", hex(addr), hex(value))

    def writel(self, addr, value):
        self.cmd("writel", hex(addr), hex(value))

    def writeq(self, addr, value):
        self.cmd("writeq", hex(addr), hex(value))

    def read(self, addr, size):
        return bytes.fromhex(self.cmd("read", hex(addr), size)[0][2:])

    def write(self, addr, data):
        self.cmd("write", hex(addr), len(data), "0x" + data.hex())

    def memset(self, addr, size, byte):
        self.cmd("memset", hex(addr), size, byte)

    def clock_step(self, ns=None):
        """By ns, or to the next timer; the time after."""
        return int(self.cmd("clock_step", *([] if ns is None else [ns]))[0])

    def clock_set(self, ns):
        return int(self.cmd("clock_set", ns)[0])

    def irq_intercept_in(self, path, *name):
        self.cmd("irq_intercept_in", path, *name)

    def irq_intercept_out(self, path, *name):
        self.cmd("irq_intercept_out", path, *name)

    def set_irq_in(self, path, name, n, level):
        self.cmd("set_irq_in", path, name or "unnamed-gpio-in", n, level)

    def irq(self, n):
        """The level of an intercepted line, as last told."""
        return self.irqs.get(n, False)

    # PCI configuration by mechanism #1
    def _config(self, bus, slot, fn, reg):
        self.outl(0xCF8, 0x80000000 | bus << 16 | slot << 11 | fn << 8 | reg & 0xFC)

    def pci_read(self, slot, fn, reg, size, bus=0):
        self._config(bus, slot, fn, reg)
        return {1: self.inb, 2: self.inw, 4: self.inl}[size](0xCFC + reg % 4)

    def pci_write(self, slot, fn, reg, size, value, bus=0):
        self._config(bus, slot, fn, reg)
        {1: self.outb, 2: self.outw, 4: self.outl}[size](0xCFC + reg % 4, value)
