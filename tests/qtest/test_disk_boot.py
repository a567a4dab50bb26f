"""Debian's SeaBIOS boots from a disk and from a CD-ROM: a loader of one sector reads more by the firmware's int 13h."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("QEMU") or str(ROOT / "build/qemu-system-x86_64")
STATUS = (0x2A << 1) | 1  # what isa-debug-exit makes of 0x2a

LOADER = """
    .code16
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    sti
    movw $packet, %si       /* extended read, of the drive in %dl */
    movb $0x42, %ah
    int $0x13
    jc fail
    movw $0x8000, %si
    movw $0x3f8, %dx
1:  lodsb
    outb %al, %dx
    testb %al, %al
    jnz 1b
    movb $0x2a, %al
    jmp exit
fail:
    movb $0x01, %al
exit:
    movw $0xf4, %dx
    outb %al, %dx
2:  hlt
    jmp 2b
packet:
    .byte 16, 0
    .word 1, 0x8000, 0
    .quad 1
    .org 510
    .word 0xaa55
"""


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    """The sector. The packet reads one sector of the medium, number 1, to 0x8000."""
    d = tmp_path_factory.mktemp("loader")
    (d / "l.s").write_text(LOADER)
    subprocess.run(["as", "--32", "-o", d / "l.o", d / "l.s"], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x7c00", "-e", "0x7c00", "--oformat=binary", "-o", d / "l.bin", d / "l.o"],
                   check=True)
    return (d / "l.bin").read_bytes()


def boot(*args):
    p = subprocess.run([PROGRAM, "-M", "pc", "-m", "32", "-display", "none", "-monitor", "none", "-serial", "stdio",
                        "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", *args],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=90)
    return p.returncode, p.stdout


def test_disk(loader, tmp_path):
    image = tmp_path / "disk.img"
    image.write_bytes((loader + b"from the disk\0").ljust(1 << 20, b"\0"))
    status, out = boot("-drive", f"file={image},format=raw")
    assert b"from the disk\0" in out
    assert status == STATUS


def test_second_channel(loader, tmp_path):
    """A disk that is master of the second channel: -hdc."""
    image = tmp_path / "disk.img"
    image.write_bytes((loader + b"from hdc\0").ljust(1 << 20, b"\0"))
    status, out = boot("-drive", f"file={image},format=raw,index=2")
    assert b"from hdc\0" in out
    assert status == STATUS


def test_cdrom(loader, tmp_path):
    """El Torito 1.0 without emulation: boot record in sector 17, catalog in 20, loader in 21."""
    sectors = {16: b"\1CD001\1", 18: b"\xffCD001\1", 21: loader, 1: b"from the CD\0"}
    record = bytearray(b"\0CD001\1EL TORITO SPECIFICATION".ljust(0x47, b"\0") + (20).to_bytes(4, "little"))
    catalog = bytearray(64)
    catalog[0], catalog[0x1E], catalog[0x1F] = 1, 0x55, 0xAA
    total = sum(int.from_bytes(catalog[i:i + 2], "little") for i in range(0, 32, 2))
    catalog[0x1C:0x1E] = (-total & 0xFFFF).to_bytes(2, "little")
    catalog[0x20] = 0x88
    catalog[0x26:0x2C] = (1).to_bytes(2, "little") + (21).to_bytes(4, "little")
    sectors[17], sectors[20] = bytes(record), bytes(catalog)
    image = bytearray(2048 * 200)
    for n, data in sectors.items():
        image[n * 2048:n * 2048 + len(data)] = data
    path = tmp_path / "cd.iso"
    path.write_bytes(image)
    status, out = boot("-cdrom", str(path))
    assert b"from the CD\0" in out
    assert status == STATUS
