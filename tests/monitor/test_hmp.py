"""The HMP server: commands, expressions, line editing."""
import os
import pty
import random
import subprocess
import termios
import time

import pytest
from emulator import PROGRAM, Emulator, Stream, connect


@pytest.fixture
def qmp():
    with Emulator() as e:
        yield e.qmp


@pytest.mark.parametrize("line, text", [
    ("info status", "VM status: running\r\n"),
    ("info uuid", "00000000-0000-0000-0000-000000000000\r\n"),
    ("info name", ""),
    ("foo bar", "unknown command: 'foo'\r\n"),
    ("info nonsense-indeed", "unknown command: 'info nonsense-indeed'\r\n"),
    ("ssystem_reset", "unknown command: 'ssystem_reset'\r\nDid you mean 'system_reset'?\r\n"),
    ("qquit", "unknown command: 'qquit'\r\nDid you mean 'quit'?\r\n"),
    ("cpu", "cpu: unexpected end of expression\r\n'index' is missing\r\nTry \"help cpu\" for more information\r\n"),
    ("stop 3", "stop|s: extraneous characters at the end of line\r\nTry \"help stop\" for more information\r\n"),
    ("print 1+3&2", "0x3\r\n"), ("print 4|1+1", "0x6\r\n"), ("p/d 2*3+1", "7\r\n"), ("p/x 255", "0xff\r\n"),
    ("p/d 0xffffffffffffffff", "-1\r\n"), ("p/u -1", "18446744073709551615\r\n"), ("p/o 8", "010\r\n"),
    ("p/c 65", "'A'\r\n"), ("p/c 1", "'\\x01'\r\n"), ("p/x 'a'", "0x61\r\n"), ("p/x 010", "0x8\r\n"),
    ("p/x (1+2)*(3-1)", "0x6\r\n"), ("p/x ~0", "0xffffffffffffffff\r\n"), ("p/d 7%4 - 1", "2\r\n"),
    ("p/d -9223372036854775808 / -1", "-9223372036854775808\r\n"),
    ("p 1/0", "division by zero\r\nTry \"help print\" for more information\r\n"),
    ("p (1", "')' expected\r\nTry \"help print\" for more information\r\n"),
    ("p 'ab'", "missing terminating ' character\r\nTry \"help print\" for more information\r\n"),
    ("p/z 1", "invalid char in format: 'z'\r\nTry \"help print\" for more information\r\n"),
    ("p 1 2", "print|p: extraneous characters at the end of line\r\nTry \"help print\" for more information\r\n"),
    ("qom-get /machine type", "\"none-machine\"\r\n"),
    ("qom-get /machine nonsense", "Error: Property 'none-machine.nonsense' not found\r\n"),
    ("ringbuf_read foo 1", "Error: Device 'foo' not found\r\n"),
    ("chardev-remove foo", "Error: Chardev 'foo' not found\r\n"),
    ("# nothing", ""), ("", ""), ("   ", ""),
])
def test_lines(qmp, line, text):
    assert qmp.hmp(line) == text


def test_depth_is_bounded(qmp):
    assert "nested too deeply" in qmp.hmp("p " + "(" * 5000)
    assert "nested too deeply" in qmp.hmp("p " + "-" * 100000 + "1")


def test_help(qmp):
    text = qmp.hmp("help")
    assert "cont|c -- " in text and "print|p /fmt expr -- " in text and "info status" not in text
    assert "info status -- " in qmp.hmp("info")
    assert qmp.hmp("help stop").startswith("stop|s -- ")
    assert "what it is connected to" not in qmp.hmp("help info chardev")


def test_stop_cont_quit():
    with Emulator() as e:
        e.qmp.hmp("stop")
        assert e.qmp.hmp("info status") == "VM status: paused\r\n"
        e.qmp.hmp("c")
        e.qmp.hmp("q")
        assert e.end() == 0


def hmp(tmp_path, *args, **more):
    e = Emulator("-monitor", f"unix:{tmp_path}/m,server=on,wait=off", *args, **more)
    return e, connect(tmp_path / "m")


def test_prompt_over_a_socket(tmp_path):
    e, m = hmp(tmp_path)
    with e:
        assert m.until("(qemu) ") == b"QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) "
        m.send("info status\n")
        assert m.until("(qemu) ") == b"info status\r\nVM status: running\r\n(qemu) "
        m.send("\r\n\r")
        assert m.until("(qemu) ") == b"\r\n(qemu) "
        assert m.until("(qemu) ") == b"\r\n(qemu) "
        assert m.nothing()
        m.socket.close()
        assert connect(tmp_path / "m").until("(qemu) ")


class Screen:
    """What a terminal would show of the last line."""

    def __init__(self, stream):
        self.stream, self.text, self.at = stream, [""], 0

    def show(self):
        while not self.stream.nothing():
            self.stream.fill()
            data, self.stream.buf = self.stream.buf.decode(), ""
            self.stream.buf = b""
            i = 0
            while i < len(data):
                c = data[i]
                i += 1
                if c == "\r":
                    self.at = 0
                elif c == "\n":
                    self.text.append("")
                elif c == "\033":
                    assert data[i] == "["
                    i += 1
                    n = ""
                    while data[i].isdigit():
                        n += data[i]
                        i += 1
                    if data[i] == "D":
                        self.at -= int(n or 1)
                    elif data[i] == "C":
                        self.at += int(n or 1)
                    elif data[i] == "K":
                        self.text[-1] = self.text[-1][:self.at]
                    i += 1
                else:
                    line = self.text[-1].ljust(self.at)
                    self.text[-1] = line[:self.at] + c + line[self.at + 1:]
                    self.at += 1
        return self.text[-1], self.at

    def becomes(self, line):
        """Waits for what the last line is to be; the host may be busy."""
        end = time.monotonic() + 5
        while self.show()[0].removeprefix("(qemu) ").rstrip() != line and time.monotonic() < end:
            pass
        return self.text[-1].removeprefix("(qemu) ").rstrip() == line


@pytest.mark.parametrize("keys, line, cursor", [
    ("abc", "abc", 3), ("abc\x02X", "abXc", 3), ("abc\x01X", "Xabc", 1), ("abc\x01\x06X", "aXbc", 2), ("abc\x7f", "ab", 2),
    ("abc\x01\x04", "bc", 0), ("ab cd ef\x17", "ab cd ", 6), ("ab cd\x01\x0b", "", 0), ("ab cd\x15\x19\x19", "ab cdab cd", 10),
    ("abc\033[D\033[DX", "aXbc", 2), ("abc\033[HX\033[FY", "XabcY", 5), ("abc\033[1~X\033[4~Y", "XabcY", 5),
    ("abc\033[H\033[3~", "bc", 0), ("ab cd\033bX", "ab Xcd", 4), ("ab cd\x01\033fX", "abX cd", 3), ("ab cd\x01\033d", " cd", 0),
    ("info sta\t", "info status ", 12), ("inf\t", "info ", 5), ("stop\x01# \x05", "# stop", 6), ("\033[1;5Dx", "x", 1), ("a\033Zb", "ab", 2),
])
def test_keys(tmp_path, keys, line, cursor):
    e, m = hmp(tmp_path)
    with e:
        m.until("(qemu) ")
        m.send(keys)
        s = Screen(m)
        assert s.show() == (line, cursor)


def test_history_and_completion(tmp_path):
    e, m = hmp(tmp_path)
    with e:
        m.until("(qemu) ")
        m.send("info status\rinfo name\r")
        s = Screen(m)
        s.show()
        m.send("\x10")
        assert s.becomes("info name")
        m.send("\033[A")
        assert s.becomes("info status")
        m.send("\x10\x0e\x0e\x0e")
        assert s.becomes("")
        m.send("system_\t")
        assert s.becomes("system_")
        assert any("system_powerdown" in x and "system_reset" in x for x in s.text)
        m.send("\x15x" * 3 + "y" * 6000)
        assert len(s.show()[0]) < 5000


@pytest.mark.parametrize("typed, becomes", [
    ("system_r", "system_reset"), ("info hotp", "info hotpluggable-cpus"), ("help device_a", "help device_add"),
    ("device_add isa-deb", "device_add isa-debug"), ("device_add isa-serial,cha", "device_add isa-serial,chardev="),
    ("device_add isa-serial,chardev=c", "device_add isa-serial,chardev=compat_monitor"), ("device_del se", "device_del ser0"),
    ("watchdog_action inj", "watchdog_action inject-nmi"), ("qom-list /mach", "qom-list /machine"),
    ("qom-list /machine/periph", "qom-list /machine/peripheral"), ("qom-get /machine hp", "qom-get /machine hpet"),
    ("chardev-remove compat", "chardev-remove compat_monitor"), ("trace-event x o", "trace-event x o"),
    ("logfile {0}/onl", "logfile {0}/only-one"), ("pmemsave 0 1 {0}/dir", "pmemsave 0 1 {0}/directory/"), ("stop x", "stop x"), ("nosuch x", "nosuch x"),
])
def test_completion(tmp_path, typed, becomes):
    (tmp_path / "only-one").write_text("")
    (tmp_path / "directory").mkdir()
    e, m = hmp(tmp_path, "-S", "-device", "isa-serial,id=ser0", machine=("-M", "pc"))
    with e:
        m.until("(qemu) ")
        m.send(typed.format(tmp_path) + "\t")
        s = Screen(m)
        assert s.becomes(becomes.format(tmp_path)), s.text


def test_random_keys(tmp_path):
    rng = random.Random(2)
    e, m = hmp(tmp_path)
    with e:
        m.until("(qemu) ")
        for _ in range(30):
            keys = bytes(b for b in rng.choices(range(256), k=200) if b not in (13, 10))
            m.send(keys)
            m.send("\x01\x0b\x15\rp/x 0x1234\r")
            m.until("0x1234\r\n(qemu) ")


def test_pty_and_mux(tmp_path):
    """-serial mon:stdio on a terminal: raw mode, Ctrl-A c to the monitor and back, Ctrl-A x ends; the terminal is put back."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    p = subprocess.Popen([PROGRAM, "-M", "none", "-display", "none", "-serial", "mon:stdio"], stdin=slave, stdout=slave)
    t = Stream(master, master)
    try:
        t.until("(qemu) ")  # no serial port in this machine: the monitor has the focus
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        t.send("\x01h")
        assert b"C-a c    switch between console and monitor" in t.until("sends C-a")
        t.send("info status\r")
        t.until("VM status: running")
        t.until("(qemu) ")
        t.send("\x01x")
        t.until("QEMU: Terminated")
        assert p.wait(10) == 0
        assert termios.tcgetattr(slave) == before
    finally:
        p.kill()
        p.wait()
        os.close(master)
        os.close(slave)
