"""Linux programs under qemu-x86_64: what they print and how they end is what they do natively.

Programs of our own (*.c here) are compiled with the host's compiler; Debian's are run as they are, those that are not installed
are skipped and say so.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = os.environ.get("QEMU_USER") or str(ROOT / "build/qemu-x86_64")
LIMIT = 60  # seconds
OWN = sorted(p.stem for p in HERE.glob("*.c"))


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")

    def compile(name, *flags):
        out = folder / (name + "".join(flags).replace("/", ""))
        if not out.exists():
            subprocess.run(["gcc", "-O1", "-w", "-pthread", *flags, "-o", out, HERE / (name + ".c"), "-lm"], check=True)
        return str(out)
    return compile


def run(argv, emulated, options=(), **kw):
    argv = [PROGRAM, *options, *argv] if emulated else argv
    return subprocess.run(argv, stdin=kw.pop("stdin", subprocess.DEVNULL), capture_output=True, timeout=LIMIT, **kw)


def compare(argv, options=(), **kw):
    """Both ways; returns what was printed."""
    native, ours = run(argv, False, **kw), run(argv, True, options, **kw)
    assert ours.stdout.decode(errors="replace") == native.stdout.decode(errors="replace"), ours.stderr.decode(errors="replace")
    assert ours.returncode == native.returncode, ours.stderr.decode(errors="replace")
    return ours.stdout.decode(errors="replace")


@pytest.mark.parametrize("flags", [[], ["-static"], ["-static-pie"], ["-no-pie"]], ids=["pie", "static", "static-pie", "no-pie"])
@pytest.mark.parametrize("name", OWN)
def test_own(build, name, flags, tmp_path):
    if name != "memory" and flags and (name, flags) != ("signals", ["-static"]):
        pytest.skip("how it is linked makes no difference for this one")
    text = compare([build(name, *flags)], cwd=tmp_path)
    assert len(text.splitlines()) > 10


def test_one_insn_at_a_time(build, tmp_path):
    compare([build("memory")], ["-one-insn-per-tb"], cwd=tmp_path)


SHELL = r"""
set -e
for n in 1 2 3; do echo $((n * n)); done
(exit 3) || echo "subshell $?"
echo a b c | tr a-z A-Z | sed 's/ /-/g'
x=$(printf '%s\n' 3 1 2 | sort | head -n 1); echo $x
seq 1 2000 | awk '{ s += $1 } END { print s }'
ls -d /usr/bin /etc
kill -l | head -n 2
trap 'echo trapped' USR1; kill -USR1 $$; 
wc -c < /etc/passwd
find /usr/share/doc/base-files | sort | md5sum
"""


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_shell(shell):
    compare([shutil.which(shell), "-c", SHELL])


PROGRAMS = {
    "busybox": ["sh", "-c", "echo hi; seq 1 100 | sha256sum; ls / | wc -l"],
    "perl": ["-e", r"my %h; $h{$_ % 97}++ for 1..20000; print join(',', map { qq($_=$h{$_}) } sort keys %h), sqrt(2), `echo sub`"],
    "python3": ["-c", "import math, json, hashlib, subprocess, threading\n"
                "print(math.sin(1e22), 2 ** 0.5, 10 ** 40 // 7, float('1e-320'), json.dumps({'a': [1, None]}))\n"
                "print(hashlib.sha256(b'x' * 100000).hexdigest(), subprocess.run(['echo', 'x'], capture_output=True).stdout)\n"
                "t = [threading.Thread(target=lambda: sum(range(10000))) for _ in range(8)]; [x.start() for x in t]; [x.join() for x in t]\n"],
    "sqlite3": [":memory:", "create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 3000) "
                "insert into t select x, x * x % 977 from c; select sum(a), avg(b), count(distinct b) from t;"],
    "openssl": ["dgst", "-sha512", "/etc/passwd"],
    "git": ["--exec-path"],
    "gzip": ["-c", "/etc/services"],
    "xz": ["-c", "/etc/services"],
    "bc": [],
    "env": ["A=1", "sh", "-c", "echo $A; exit 9"],
    "cat": ["/proc/self/comm", "/proc/self/cmdline"],
    "date": ["-u", "-d", "@1700000000"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    path = "/usr/bin/" + name if os.path.exists("/usr/bin/" + name) else shutil.which(name)
    if not path:
        pytest.skip(name + " is not installed")
    compare([path, *PROGRAMS[name]])


def test_compiler(tmp_path):
    """The compiler, the assembler and the linker run emulated, and so does what they make."""
    source = tmp_path / "hello.c"
    source.write_text('#include <stdio.h>\nint main(int c, char **v) { printf("%s %d %.3f\\n", v[1], c, 1.5 * c); return 4; }\n')
    out = tmp_path / "hello"
    r = run(["/usr/bin/gcc", "-O2", "-o", str(out), str(source)], True)
    assert r.returncode == 0, r.stderr.decode()
    assert compare([str(out), "x"]) == "x 2 3.000\n"


def test_script(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh -e\necho $0 \"$@\"\n")
    script.chmod(0o755)
    compare([str(script), "a b", "c"])
    nested = tmp_path / "nested"
    nested.write_text(f"#! {script}   one two  \nnot read\n")
    nested.chmod(0o755)
    compare([str(nested), "three"])


def test_chroot_without_proc(tmp_path):
    """Programs are executed where there is neither /proc nor the emulator."""
    if os.geteuid() != 0 or not os.path.exists("/bin/busybox"):
        pytest.skip("needs root and busybox-static")
    if b"/ld-linux" in pathlib.Path(PROGRAM).read_bytes()[:4096]:
        pytest.skip("a build with sanitizers is not static")
    (tmp_path / "bin").mkdir()
    for name in ("busybox", "sh", "ls", "echo"):
        shutil.copy("/bin/busybox", tmp_path / "bin" / name)
    text = compare([shutil.which("chroot"), str(tmp_path), "/bin/sh", "-c", "/bin/ls /; /bin/sh -c '/bin/echo deeper; exit 3'; echo $?"])
    assert text == "bin\ndeeper\n3\n"


@pytest.mark.parametrize("limit", ["-v 100000", "-n 10"])
def test_limits(limit):
    if "-v" in limit and b"/ld-linux" in pathlib.Path(PROGRAM).read_bytes()[:4096]:
        pytest.skip("the sanitizers take terabytes of address space")
    compare(["/bin/sh", "-c", f"ulimit {limit}; /bin/sh -c '/bin/echo here'"])


# Options ------------------------------------------------------------------------------------------------------------------

def out(*argv, **kw):
    return subprocess.run([PROGRAM, *argv], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, text=True, **kw)


def test_environment():
    assert out("-E", "A=1,B=2", "-U", "HOME", "/usr/bin/env").stdout.count("A=1\nB=2\n") == 1
    assert "\nHOME=" not in "\n" + out("-E", "A=1", "-U", "HOME", "/usr/bin/env").stdout
    assert "C=3" in out("/usr/bin/env", env={"QEMU_SET_ENV": "C=3"}).stdout


def test_names():
    assert out("-0", "other", "/bin/sh", "-c", "echo $0").stdout == "other\n"
    assert out("-r", "1.2.3-x", "/bin/uname", "-r").stdout == "1.2.3-x\n"
    assert out("-r", "1.2.3-x", "/bin/sh", "-c", "uname -r").stdout == "1.2.3-x\n"  # handed on by execve


def test_version_and_help():
    assert out("-version").stdout.startswith("qemu-x86_64 version 10.0.2 (")
    text = out("--help").stdout
    for option in ("-L path", "-strace", "-one-insn-per-tb", "QEMU_LD_PREFIX"):
        assert option in text


def test_strace():
    err = out("-strace", "/bin/busybox", "true").stderr
    assert re.search(r"^\d+ exit_group\(0\)$", err, re.M)
    err = out("-strace", "/bin/cat", "/no such file").stderr
    assert re.search(r'^\d+ openat\(AT_FDCWD,"/no such file",0x0,00?\) = -1 errno=2 \(No such file or directory\)$', err, re.M), err


def test_cpu():
    text = out("-cpu", "qemu64", "/bin/cat", "/proc/cpuinfo").stdout
    flags = re.search(r"^flags\s*:(.*)$", text, re.M).group(1).split()
    assert "sse2" in flags and "ssse3" not in flags
    assert "qemu64" in out("-cpu", "help").stdout
    r = out("-cpu", "none", "/bin/true")
    assert r.returncode == 1 and "unable to find CPU model 'none'" in r.stderr
    assert out("-cpu", "max,-sse4.2", "/bin/true").returncode == 0
    assert "no feature 'what'" in out("-cpu", "max,+what", "/bin/true").stderr


def test_stack_size():
    assert out("-s", "131072", "/bin/sh", "-c", "echo x").stdout == "x\n"
    assert "-s" in out("-s", "7", "/bin/true").stderr


@pytest.mark.parametrize("content, mode, status, text", [
    (None, 0, 127, "No such file or directory"), (b"", 0o755, 126, "not an ELF program"), (b"text", 0o644, 126, "Permission denied"),
    (b"\x7fELF" + bytes(100), 0o755, 126, "another machine"),
    (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0\x01\0\0\0" + bytes(40), 0o755, 126, "wrong ELF program headers"),
    (b"#!/no/such\n", 0o755, 127, "No such file or directory"),
])
def test_bad_program(tmp_path, content, mode, status, text):
    f = tmp_path / "bad"
    if content is not None:
        f.write_bytes(content)
        f.chmod(mode)
        if mode == 0o644 and os.access(f, os.X_OK):
            pytest.skip("this user may execute everything")
    r = out(str(f))
    assert r.returncode == status, r.stderr
    assert text in r.stderr and len(r.stderr.splitlines()) == 1


def test_bad_options():
    assert out().returncode == 1
    assert "unknown option" in out("-nothing", "/bin/true").stderr
    assert "requires an argument" in out("-cpu").stderr
    assert "only 0" in out("-B", "0x1000", "/bin/true").stderr
    refused = out("-R", "1G", "/bin/true")
    assert refused.returncode == 1 and "-R: 1G" in refused.stderr and "only 0" in refused.stderr
    assert out("-R", "0", "/bin/true").returncode == 0


def test_death_by_signal():
    r = out("/bin/sh", "-c", "kill -SEGV $$")
    assert r.returncode == -signal.SIGSEGV and "uncaught target signal 11 (Segmentation fault)" in r.stderr
    assert out("/bin/sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM


def test_stops_and_goes_on(tmp_path):
    """Job control is the kernel's: a stopped program is stopped."""
    p = subprocess.Popen([PROGRAM, "/bin/sh", "-c", "while :; do :; done"])
    try:
        os.kill(p.pid, signal.SIGSTOP)
        _, status = os.waitpid(p.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.kill(p.pid, signal.SIGCONT)
        time.sleep(0.05)
        os.kill(p.pid, signal.SIGTERM)
        assert p.wait(LIMIT) == -signal.SIGTERM
    finally:
        p.kill()


def test_another_process_sees(tmp_path):
    p = subprocess.Popen([PROGRAM, "/bin/sleep", "30"])
    try:
        for _ in range(100):
            text = pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes()
            if text.startswith(b"/bin/sleep"):
                break
            time.sleep(0.05)
        assert text == b"/bin/sleep\x0030\0"
        assert pathlib.Path(f"/proc/{p.pid}/comm").read_text() == "sleep\n"
    finally:
        p.kill()
        p.wait()


# gdb ----------------------------------------------------------------------------------------------------------------------

def gdb(tmp_path, commands, env=None, source="threads"):
    """What gdb says after these commands."""
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    program, socket = tmp_path / source, tmp_path / "socket"
    subprocess.run(["gcc", "-g", "-O1", "-w", "-pthread", "-o", program, HERE / f"gdb/{source}.c"], check=True)
    p = subprocess.Popen([PROGRAM, "-g", socket, program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env={**os.environ, **(env or {})})
    try:
        for _ in range(100):
            if socket.exists():
                break
            time.sleep(0.05)
        argv = ["gdb", "-q", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex", "set confirm off", "-ex",
                f"target remote {socket}"]
        for c in commands:
            argv += ["-ex", c]
        r = subprocess.run([*argv, program], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, text=True)
        out, err = p.communicate(timeout=LIMIT)
        return r.stdout + r.stderr, out.decode(), p.returncode
    finally:
        p.kill()


def test_gdb(tmp_path):
    text, out, status = gdb(tmp_path, [
        "break twice", "continue", "bt", "continue", "print n", "finish", "stepi", "print $xmm0.uint128 == $xmm0.uint128", "delete",
        "break thread", "continue", "info threads", "delete", "set var global=100", "print twice(21)", "print $_siginfo_never",
        "continue", "bt", "print $rip == &main", "info sharedlibrary", "continue"])
    assert "Breakpoint 1, twice (n=n@entry=0)" in text and "in main ()" in text
    assert "$1 = 1\n" in text and "Value returned is $2 = 2" in text
    assert "hit Breakpoint 2, thread (a=0x0)" in text and re.search(r"^\* 2 +Thread", text, re.M), text
    assert " = 42\n" in text, text
    assert "received signal SIGSEGV" in text and "libc.so.6" in text
    assert "Program terminated with signal SIGSEGV" in text, text
    assert out == "20 106 10\n" and status == -signal.SIGSEGV


@pytest.mark.parametrize("before", [[], ["stepi"]])
def test_gdb_calls_function_with_breakpoint(tmp_path, before):
    """The breakpoint is where gdb puts rip: with and without having stopped there before."""
    text, out, status = gdb(tmp_path, ["break fib", "continue", *before, "print fib(6)", "print $rdi", "continue", "print $rdi",
                                       "delete", "print fib(7)", "continue", "continue"], source="fib")
    assert "The program being debugged stopped while in a function called from GDB" in text, text
    assert "$1 = 6\n" in text and "$2 = 5\n" in text and "$3 = 13\n" in text, text
    assert out == "55\n" and status == 0


def test_gdb_interrupts(tmp_path):
    """Ctrl-C, while the program is in a system call."""
    text, _, _ = gdb(tmp_path, ["python import threading, time, os, signal", "python threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()",
                                "continue", "bt", "kill"], {"WAIT": "1"})
    assert "received signal SIGINT" in text and "main ()" in text, text


def test_gdb_bad_port():
    assert "is not a port" in out("-g", "70000", "/bin/true").stderr
    assert out("-g", "/no/such/folder/socket", "/bin/true").returncode == 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
