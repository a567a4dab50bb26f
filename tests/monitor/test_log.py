"""-d, -D and -dfilter: what the translator and the run loop print of a small guest."""
import re

import pytest
from emulator import run

# 16-bit: mov $5,%ax; 1: dec %ax; jnz 1b; out %al,$0xf4 (isa-debug-exit); hlt; at the reset vector a jump to its start.
CODE = bytes.fromhex("b80500 48 75fd e6f4 f4")
START = 0xffff0000  # CS has this base after reset
LOOP = START + 3


@pytest.fixture
def log(tmp_path):
    """-> f(items, *arguments): the log of a run of the guest."""
    rom = tmp_path / "rom"
    rom.write_bytes(CODE.ljust(0xfff0, b"\x90") + bytes.fromhex("e90d00").ljust(16, b"\x90"))

    def logged(items, *args):
        path = tmp_path / "log"
        path.unlink(missing_ok=True)
        status, out, err = run("-accel", "tcg", "-M", "pc", "-nodefaults", "-display", "none", "-bios", str(rom),
                               "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-d", items, "-D", str(path), *args)
        assert (status, out, err) == (1, "", "")
        return path.read_text()
    return logged


def traces(text):
    """Addresses of the regions that ran."""
    return [int(pc, 16) for pc in re.findall(r"^Trace 0: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]{16})/[0-9a-f]+\]$", text, re.M)]


def test_in_asm(log):
    text = log("in_asm")
    assert "----------------\nIN: \n0xffff0000:  b8 05 00                 movw     $5, %ax\n" in text
    assert len(re.findall(r"^0xffff0003:  48 +decw", text, re.M)) == 2  # of the way in, and of the loop's head
    assert "Trace" not in text and "OP:" not in text


def test_exec(log):
    text = log("exec,nochain")
    assert list(dict.fromkeys(traces(text)))[:3] == [0xfffffff0, START, LOOP]  # the first may be left for a look around
    assert traces(text).count(LOOP) == 4
    assert traces(log("exec")).count(LOOP) <= 4  # linked: not each is seen


def test_cpu(log):
    text = log("exec,cpu,nochain")
    loops = [part for part in text.split("Trace 0: ") if f"/{LOOP:016x}/" in part]
    assert [int(re.search(r"^EAX=([0-9a-f]{8}) EBX=", part, re.M).group(1), 16) for part in loops] == [4, 3, 2, 1]
    assert "CR0=60000010" in loops[0] and "IDT=" in loops[0]
    assert text.count("EIP=") == text.count("Trace")


def test_translation(log):
    text = log("in_asm,op,op_opt,out_asm", "-dfilter", f"{LOOP:#x}+1")
    assert [line.rstrip() for line in text.splitlines() if re.match(r"IN:|OP|OUT:", line)] == [
        "IN:", "OP:", "OP after optimization and liveness analysis:", re.search(r"OUT: \[size=\d+\]", text).group()]
    assert "block b0" in text and "insn 0xffff0003" in text
    assert re.search(r"^0x[0-9a-f]{16}:  [0-9a-f ]+ +\w+", text.split("OUT:")[1], re.M)


@pytest.mark.parametrize("ranges, expect", [
    (f"{START:#x}+1", {START}), (f"{START:#x}..{LOOP:#x}", {START, LOOP}), (f"0x10+5,{LOOP:#x}-2", {LOOP}), ("0x10..0x20", set())])
def test_filter(log, ranges, expect):
    text = log("exec,in_asm,nochain", "-dfilter", ranges)
    assert set(traces(text)) == expect
    assert text.count("IN:") == len(expect)
