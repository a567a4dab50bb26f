#!/usr/bin/python3
"""Makes an option ROM of flat code: pads it, sets its length and checksums, writes it as C.

usage: sign.py CODE.bin NAME OUT.c

The length is at offset 2 in units of 512 bytes; all bytes add up to 0 (PCI Firmware Specification 3.2, 5.2.1), and so
do the 32 bytes of the Plug and Play header (PnP BIOS Specification 1.0A, 3.2).
"""
import sys


def main():
    code, name, out = sys.argv[1:]
    rom = bytearray(open(code, "rb").read())
    assert rom[:2] == b"\x55\xaa"
    rom += bytes(-(len(rom) + 1) % 512 + 1)
    rom[2] = len(rom) // 512
    pnp = rom[0x1a] | rom[0x1b] << 8
    assert rom[pnp:pnp + 4] == b"$PnP"
    rom[pnp + 9] = -sum(rom[pnp:pnp + 32]) & 0xff
    rom[-1] = -sum(rom) & 0xff
    lines = [", ".join(f"0x{b:02x}" for b in rom[i:i + 16]) for i in range(0, len(rom), 16)]
    with open(out, "w") as f:
        f.write(f'#include "pc-bios/optionrom/roms.h"\n\nconst uint8_t rom_{name}[] = {{\n    ')
        f.write(",\n    ".join(lines))
        f.write(f"\n}};\nconst unsigned rom_{name}_size = sizeof(rom_{name});\n")


main()
