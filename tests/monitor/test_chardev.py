"""Byte streams to the host, as monitors see them."""
import os
import select
import socket
import time

import pytest
from emulator import Emulator, Stream, connect, run


def chardevs(e):
    return {c["label"]: c for c in e.qmp.ok("query-chardev")}


@pytest.mark.parametrize("text, filename", [
    ("null", "null"), ("ringbuf", "ringbuf"), ("vc", "vc"), ("socket,path=s,server=on,wait=off", "disconnected:unix:s,server=on"),
    ("socket,path=kestrel-{pid},abstract=on,server=on,wait=off",
     "disconnected:unix:kestrel-{pid},abstract=on,tight=on,server=on"), ("file,path=f", "file"),
])
def test_filenames(tmp_path, text, filename):
    pid = str(os.getpid())
    with Emulator("-chardev", text.replace("{pid}", pid) + ",id=a", cwd=tmp_path) as e:
        assert chardevs(e)["a"] == {"label": "a", "filename": filename.replace("{pid}", pid), "frontend-open": False}


@pytest.mark.parametrize("args, error", [
    (["-chardev", "stdio"], "-chardev stdio: chardev: no id specified"),
    (["-chardev", "foo,id=a"], "-chardev foo,id=a: 'foo' is not a valid char driver name"),
    (["-chardev", "null,id=1a"], "-chardev null,id=1a: Parameter 'id' expects an identifier"),
    (["-chardev", "null,id=a", "-chardev", "null,id=a"], "-chardev null,id=a: Duplicate ID 'a' for chardev"),
    (["-chardev", "file,id=a,path=/nonexist/x"], "Could not open '/nonexist/x': No such file or directory"),
    (["-chardev", "socket,id=a,path=/nonexist"], "Failed to connect to '/nonexist': No such file or directory"),
    (["-chardev", "socket,id=a,host=h,server=on"], "chardev: socket: no port given"),
    (["-chardev", "socket,id=a,path=x,wait=off"], "'wait' option is incompatible with socket in client connect mode"),
    (["-chardev", "socket,id=a,path=x,server=on,reconnect=1"],
     "'reconnect' option is incompatible with socket in server listen mode"),
    (["-chardev", "socket,id=a,path=" + "x" * 109], "is too long"),
    (["-chardev", "socket,id=a,fd=0"], "File descriptor '0' is not a socket"),
    (["-chardev", "socket,id=a,fd=name"], "File descriptor named 'name' has not been found"),
    (["-chardev", "ringbuf,id=a,size=3"], "size of ringbuf chardev must be power of two"),
    (["-chardev", "mux,id=a,chardev=b"], "'b' not found"),
    (["-chardev", "null,id=a,logfile=/nonexist/x"], "logfile: Could not open '/nonexist/x': No such file or directory"),
    (["-chardev", "serial,id=a,path=/dev/null"], "'/dev/null' is not a serial line"),
    (["-mon", "chardev=x"], "-mon chardev=x: chardev \"x\" not found"),
    (["-chardev", "null,id=a", "-mon", "a", "-mon", "a"], "Device 'a' is in use"),
    (["-qmp", "foo"], "-qmp foo: 'foo' is not a valid char driver"),
    (["-serial", "tcp:5"], "-serial tcp:5: '5' is not HOST:PORT"),
    (["-serial", "chardev:q"], "Chardev 'q' not found"),
    (["-qmp", "stdio", "-monitor", "stdio"], "cannot use stdio by multiple character devices"),
])
def test_errors(args, error):
    status, out, err = run("-M", "none", "-display", "none", *args)
    assert status == 1 and error in err and err.startswith("qemu-system-x86_64: ")


def test_server_waits(tmp_path):
    with Emulator("-chardev", "socket,id=a,path=s,server=on", cwd=tmp_path, negotiate=False, qmp=False) as e:
        e2 = Stream(e.p.stderr.fileno(), -1)
        assert e2.line() == b"qemu-system-x86_64: info: QEMU waiting for connection on: disconnected:unix:s,server=on\n"
        connect(tmp_path / "s")


def test_tcp_and_telnet():
    with Emulator("-chardev", "socket,id=a,host=127.0.0.1,port=0,server=on,wait=off,telnet=on", "-mon", "a") as e:
        port = int(chardevs(e)["a"]["filename"].split(":")[3].split(",")[0])
        s = socket.create_connection(("127.0.0.1", port))
        t = Stream(s.fileno(), s.fileno())
        assert t.until(b"\xff\xfd\x00") == b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00"
        t.until("(qemu) ")
        t.send(b"info\xff\xfd\x01 sta\xff\xfa\x18\x00ab\xff\xf0tus\r\n")
        t.until("VM status: running\r\n(qemu) ")
        name = chardevs(e)["a"]["filename"]
        assert name.startswith(f"telnet:127.0.0.1:{port},server=on <-> 127.0.0.1:")
        s.close()


def test_reconnect(tmp_path):
    s = socket.socket(socket.AF_UNIX)
    with Emulator("-chardev", "socket,id=a,path=s,reconnect-ms=20", "-mon", "a", cwd=tmp_path) as e:
        assert chardevs(e)["a"]["filename"] == "disconnected:unix:s"
        s.bind(str(tmp_path / "s"))
        s.listen()
        for _ in range(2):
            c, _ = s.accept()
            Stream(c.fileno(), c.fileno()).until("(qemu) ")
            c.close()


def test_hung_up_before_its_bytes_are_read(tmp_path):
    """A client that has gone is not shown as connected, though nobody takes what it sent (a serial port that is full)."""
    with Emulator("-M", "pc", "-S", "-nodefaults", "-chardev", "socket,id=a,path=s,server=on,wait=off",
                  "-device", "isa-serial,chardev=a", cwd=tmp_path) as e:
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(tmp_path / "s"))
        s.sendall(bytes(1000))
        end = time.monotonic() + 10
        while chardevs(e)["a"]["filename"].startswith("disconnected"):
            assert time.monotonic() < end
        assert chardevs(e)["a"]["filename"] == "unix:s,server=on"
        s.close()
        assert chardevs(e)["a"]["filename"] == "disconnected:unix:s,server=on"


def test_pty():
    with Emulator("-chardev", "pty,id=a", "-mon", "a", qmp=False) as e:
        line = e.io.line().decode()
        assert line.startswith("char device redirected to /dev/pts/") and line.endswith(" (label a)\n")
        path = line.split()[4]
        for _ in range(3):  # opened again after a hang-up
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            t = Stream(fd, fd)
            t.until("(qemu) ")
            t.send("info status\r")
            t.until("running\r\n(qemu) ")
            os.close(fd)
            time.sleep(0.02)


def test_idle_does_not_spin(tmp_path):
    """A hung-up pty, a full socket and a closed standard input cost no time."""
    with Emulator("-chardev", "pty,id=a", "-mon", "a", "-chardev", "socket,id=b,path=s,server=on,wait=off", "-mon", "b",
                  qmp=False, cwd=tmp_path) as e:
        path = e.io.line().decode().split()[4]
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        Stream(fd, fd).until("(qemu) ")
        os.close(fd)
        connect(tmp_path / "s").socket.close()
        e.p.stdin.close()
        time.sleep(0.05)

        def ticks():
            return sum(map(int, open(f"/proc/{e.p.pid}/stat").read().rsplit(")")[1].split()[11:13]))
        before = ticks()
        time.sleep(0.3)
        assert ticks() - before <= 2


def test_ringbuf_and_logs(tmp_path):
    with Emulator("-chardev", f"ringbuf,id=r,size=8,logfile={tmp_path}/log", "-chardev", "null,id=n") as e:
        q = e.qmp
        q.ok("ringbuf-write", device="r", data="0123456789")
        assert q.ok("ringbuf-read", device="r", size=3) == "234"
        assert q.ok("ringbuf-read", device="r", size=30, format="base64") == "NTY3ODk="
        q.ok("ringbuf-write", device="r", data="AP8=", format="base64")
        assert q.ok("ringbuf-read", device="r", size=9)[1] == "\ufffd"
        assert q.error("ringbuf-read", device="n", size=1)[1] == "n is not a ringbuf device"
        q.hmp('ringbuf_write r "a\\nb\\"\\\\"')
        assert q.hmp("ringbuf_read r 9") == 'a\r\nb"\\\\\r\n'


def test_file_and_input(tmp_path):
    (tmp_path / "in").write_text("info status\n")
    with Emulator("-chardev", "file,id=a,path=out,input-path=in,logfile=log", "-mon", "a", cwd=tmp_path) as e:
        end = time.monotonic() + 5
        while "running" not in (tmp_path / "out").read_text() and time.monotonic() < end:
            time.sleep(0.01)
        assert "VM status: running" in (tmp_path / "out").read_text()
        assert (tmp_path / "log").read_text() == (tmp_path / "out").read_text()
        assert e.qmp.ok("query-status")


def test_mux_of_monitors(tmp_path):
    with Emulator("-chardev", "socket,id=a,path=s,server=on,wait=off,mux=on", "-mon", "a", "-mon", "a", cwd=tmp_path) as e:
        labels = chardevs(e)
        assert labels["a"]["filename"] == "mux" and labels["a-base"]["frontend-open"]
        s = connect(tmp_path / "s")
        s.until("(qemu) ")
        s.send("\x01c")
        s.until("(qemu) ")
        s.send("info sta\x01\x01\x01c")  # Ctrl-A itself; then the other one
        s.until("(qemu) ")
        s.send("p/x 1\r")
        s.until("0x1\r\n(qemu) ")
        s.send("\x01tp/x 2\r\x01t")
        assert b"] 0x2" in s.until("(qemu) ")
        assert e.qmp.error("chardev-remove", id="a")[1] == "Chardev 'a' is busy"


def test_add_by_qmp(tmp_path):
    with Emulator(cwd=tmp_path) as e:
        def add(kind, **data):
            return e.qmp.ok("chardev-add", id=kind, backend={"type": kind, "data": data})
        assert add("null") == {}
        assert add("file", out="f", append=True) == {}
        assert add("pty")["pty"].startswith("/dev/pts/")
        add("socket", addr={"type": "unix", "data": {"path": "s"}}, wait=False)
        add("ringbuf", size=16)
        assert {c["filename"].split(":")[0] for c in chardevs(e).values()} >= {"null", "file", "pty", "disconnected", "ringbuf"}
        assert e.qmp.error("chardev-add", id="null", backend={"type": "null", "data": {}})[1] == \
            "Chardev with id 'null' already exists"
        assert "'kind'" not in e.qmp.error("chardev-add", id="x", backend={"type": "nul", "data": {}})[1]
        e.qmp.error("chardev-add", id="x", backend={"type": "socket", "data": {"addr": {"type": "unix", "data": {"path": "nope"}},
                                                                              "server": False}})


def test_add_and_remove(tmp_path):
    with Emulator(cwd=tmp_path) as e:
        e.qmp.hmp("chardev-add socket,id=x,path=s,server=on,wait=off")
        assert "x" in chardevs(e) and (tmp_path / "s").exists()
        e.qmp.ok("chardev-remove", id="x")
        assert "x" not in chardevs(e) and not (tmp_path / "s").exists()
        assert e.qmp.hmp("chardev-add foo,id=x").startswith("Error: 'foo' is not a valid char driver name\r\n")
