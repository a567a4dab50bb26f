"""Boots Debian's kernel with busybox to its init, which tells what it sees and powers off."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("QEMU") or str(ROOT / "build/qemu-system-x86_64")
LIMIT = 120  # seconds; a boot takes a few


@pytest.fixture(scope="session")
def guest():
    """Kernel and initrd; made once."""
    out = subprocess.run([ROOT / "scripts/guest", "kernel", "initrd"], check=True, capture_output=True, text=True).stdout
    return dict(zip(("kernel", "initrd"), out.split()))


def boot(guest, *args, append="", cpu="qemu64"):
    """What the console says until the guest has powered off."""
    p = subprocess.run([PROGRAM, "-accel", "tcg", "-M", "pc", "-cpu", cpu, "-kernel", guest["kernel"],
                        "-initrd", guest["initrd"], "-append", "console=ttyS0 panic=-1 run=batch " + append,
                        "-display", "none", "-nodefaults", "-serial", "stdio", "-no-reboot", *args],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    text = p.stdout.decode(errors="replace")
    assert p.returncode == 0, p.stderr.decode() + text[-2000:]
    assert "init: started" in text and "Power down" in text, p.stderr.decode() + text[-3000:]
    return text


def no_complaints(text):
    """The kernel found nothing wrong with itself or the machine."""
    bad = [line for line in text.splitlines() if re.search(r"BUG|Oops|WARNING:|Call Trace|panic|soft lockup|rcu_.*stall", line)
           and "panic=-1" not in line]
    assert not bad, "\n".join(bad)


def test_one_cpu(guest):
    text = boot(guest, "-m", "512")
    no_complaints(text)
    assert re.search(r"^Linux .* x86_64 GNU/Linux", text, re.M)
    assert len(re.findall(r"^processor\s*:", text, re.M)) == 1
    total = int(re.search(r"^Mem:\s+(\d+)", text, re.M).group(1))
    assert 440000 < total < 512 * 1024


def test_four_cpus(guest):
    text = boot(guest, "-m", "512", "-smp", "4")
    no_complaints(text)
    assert len(re.findall(r"^processor\s*:", text, re.M)) == 4
    assert "smp: Brought up 1 node, 4 CPUs" in text


def test_memory_across_the_hole(guest):
    text = boot(guest, "-m", "6G")
    no_complaints(text)
    total = int(re.search(r"^Mem:\s+(\d+)", text, re.M).group(1))
    assert 5900000 < total < 6 * 1024 * 1024


@pytest.mark.parametrize("cpu", ["max", "Nehalem"])
def test_models(guest, cpu):
    no_complaints(boot(guest, "-m", "512", cpu=cpu))
