"""Debian's kernel boots with busybox to its init, which tells what it sees and powers off; the firmware tells its memory."""
import re
import subprocess

import pytest

from console import LIMIT, PROGRAM, Guest, no_complaints, parts


@pytest.fixture(scope="session")
def guest():
    return parts("kernel", "initrd")


def boot(guest, *args, cpu="qemu64"):
    """What the console says until the guest has powered off."""
    kernel, initrd = guest
    with Guest("-M", "pc", "-cpu", cpu, "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 run=batch",
               "-nodefaults", *args) as g:
        text = g.ended()
    assert "init: started" in text
    no_complaints(text)
    return text


def test_one_cpu(guest):
    text = boot(guest, "-m", "512")
    assert re.search(r"^Linux .* x86_64 GNU/Linux", text, re.M)
    assert len(re.findall(r"^processor\s*:", text, re.M)) == 1
    total = int(re.search(r"^Mem:\s+(\d+)", text, re.M).group(1))
    assert 440000 < total < 512 * 1024


def test_four_cpus(guest):
    text = boot(guest, "-m", "512", "-smp", "4")
    assert len(re.findall(r"^processor\s*:", text, re.M)) == 4
    assert "smp: Brought up 1 node, 4 CPUs" in text


def test_memory_across_the_hole(guest):
    total = int(re.search(r"^Mem:\s+(\d+)", boot(guest, "-m", "6G"), re.M).group(1))
    assert 5900000 < total < 6 * 1024 * 1024


@pytest.mark.parametrize("cpu", ["max", "Nehalem"])
def test_models(guest, cpu):
    boot(guest, "-m", "512", cpu=cpu)


# A boot sector that writes the entries of int 15h, AX=E820h (ACPI 6.5, 15.1) to the first serial port as they are.
MEMORY_MAP = """
    .code16
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    xorl %ebx, %ebx
1:  movl $0xe820, %eax
    movl $0x534d4150, %edx
    movl $20, %ecx
    movw $0x8000, %di
    int $0x15
    jc 3f
    movw $0x8000, %si
    movw $20, %cx
2:  movw $0x3fd, %dx
    inb %dx, %al
    testb $0x20, %al
    jz 2b
    movw $0x3f8, %dx
    lodsb
    outb %al, %dx
    loop 2b
    testl %ebx, %ebx
    jnz 1b
3:  movw $0xf4, %dx
    xorb %al, %al
    outb %al, %dx
4:  hlt
    jmp 4b
    .org 510
    .word 0xaa55
"""


@pytest.fixture(scope="module")
def sector(tmp_path_factory):
    d = tmp_path_factory.mktemp("map")
    (d / "m.s").write_text(MEMORY_MAP)
    subprocess.run(["as", "--32", "-o", d / "m.o", d / "m.s"], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x7c00", "-e", "0x7c00", "--oformat=binary", "-o", d / "m.bin", d / "m.o"], check=True)
    (d / "m.img").write_bytes((d / "m.bin").read_bytes().ljust(1 << 20, b"\0"))
    return d / "m.img"


@pytest.mark.parametrize("mib", [64, 512, 3584, 6144])
def test_firmware_memory_map(sector, mib):
    """RAM below the hole ends at 3 GiB when there is more than 3.5 GiB of it; the rest begins at 4 GiB."""
    p = subprocess.run([PROGRAM, "-accel", "tcg", "-M", "pc", "-m", f"{mib}", "-display", "none", "-nodefaults", "-serial", "stdio",
                        "-device", "isa-debug-exit,iobase=0xf4", "-drive", f"file={sector},format=raw"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    assert p.returncode == 1, p.stderr
    data = p.stdout[-(len(p.stdout) // 20 * 20):]
    entries = [tuple(int.from_bytes(data[i + a:i + b], "little") for a, b in ((0, 8), (8, 16), (16, 20))) for i in range(0, len(data), 20)]
    usable = {base: length for base, length, kind in entries if kind == 1}
    low = mib if mib < 3584 else 3072
    assert usable[0] == 0x9fc00
    assert (low << 20) - 0x40000 <= usable[0x100000] + 0x100000 <= low << 20, entries
    assert usable.get(1 << 32, 0) == (mib - low) << 20
