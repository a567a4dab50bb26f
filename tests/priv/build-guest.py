#!/usr/bin/python3
"""Assembles one guest: build-guest.py IN.S OUT.bin. Flat binary linked for 8000h."""
import pathlib
import subprocess
import sys

source, out = map(pathlib.Path, sys.argv[1:])
obj = out.with_suffix(".o")
subprocess.run(["gcc", "-c", "-m64", "-I", str(source.parent), "-Wa,--divide", str(source), "-o", str(obj)], check=True)
subprocess.run(["ld", "-m", "elf_x86_64", "-Ttext", "0x8000", "-e", "0x8000", "--oformat", "binary", "-o", str(out), str(obj)], check=True)
