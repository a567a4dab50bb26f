#!/usr/bin/python3
"""Boots Debian's kernel here and under Debian's QEMU 10.0 with the same arguments and compares what it says and sees.

usage: tests/system/compare.py [-cpu MODEL] [QEMU ARGUMENTS...]

Compared are the console's text, /proc's interrupts, iomem, ioports and cpuinfo, DMI strings, PNP ids, all CPUID leaves, PCI
configuration space, and the bytes of the ACPI and SMBIOS tables (tests/guest/facts.c). Times, counts and addresses that
depend on them are taken out (NOISE); what is known to differ is listed with its reason (KNOWN). The rest is printed: lines
that QEMU's guest says with "-", lines that ours says with "+". Exit status 0: no such line.
"""
import collections
import re
import shutil
import subprocess
import sys

from console import PROGRAM, Guest, parts

PEER = "qemu-system-x86_64"

NOISE = [  # (pattern, what stands for it)
    (r"^\[ *\d+\.\d+\] ?", ""),                                    # times
    (r"^(?:tsc: |clocksource: (?:tsc|Switched to clocksource tsc)).*", ""),  # measured, and when is by chance
    (r"^hpet: Lost \d+ RTC interrupts", ""),
    (r"^(?:APIC (?:calibration|delta)|calibrate_delay_direct\(\)|Probably due to long platform).*", ""),
    (r"^(?:\.\.\.\. node .*| *(?: #\d+)+)$", ""),                    # written in pieces, at the CPUs' pace
    (r"audit\(\d+\.\d+:", "audit(TIME:"),
    (r"(setting system clock to ).*", r"\1TIME"),
    (r"[\d.]+ BogoMIPS(?: \(lpj=\d+\))?", "N BogoMIPS"),
    (r"(bogomips\s*: ).*", r"\1N"),
    (r"(cpu MHz\s*: ).*", r"\1N"),
    (r"^sched_clock: Marking stable .*", ""),
    (r"(deferred pages initialised in )\d+", r"\1N "),
    (r"^Memory: \d+K/", "Memory: NK/"),                            # what is initialised by then
    (r"(max_cycles: |max_idle_ns: )\w+", r"\1N"),
    (r"^(proc-interrupts +\w+:)[ \d]+", r"\1 "),                   # counts
    (r"^(ACPI: \w+) 0x\w+", r"\1 AT"),                             # behind the DSDT, whose length differs
    (r"^(ACPI: Reserving \w+ table memory at ).*", r"\1AT"),
    (r"^acpi DSDT.*", ""),                                         # other AML: what Linux makes of it is compared
    (r"^ACPI: DSDT AT \w+", "ACPI: DSDT AT LENGTH"),
    # What QEMU's AMD models have and ours have not yet: SVM.
    (r"^(proc-cpuinfo flags.*) svm\b", r"\1"),
    (r"^(cpuid 80000001\.0 \w+ \w+ )(\w+)", lambda m: m.group(1) + f"{int(m.group(2), 16) & ~4:08x}"),
    (r"^cpuid 8000000a\.0 .*", ""),
]

KNOWN = [  # (sign, pattern, reason)
    ("-", r"acpiphp: Slot \[\d+\] registered", "no hot plug of PCI devices yet"),
    ("-", r"ACPI: Enabled 2 GPEs in block 00 to 0F", "no hot plug of PCI devices and CPUs yet"),
    ("-", r"sys /sys/bus/pnp/devices/00:\d\d/id PNP0700", "no floppy controller yet"),
    ("+-", r"pnp: PnP ACPI: found \d devices", "no floppy controller yet"),
    ("+-", r"sys /sys/bus/pnp/devices/00:\d\d/id PNP0(?:501|b00|B00)", "numbered one lower without it"),
    ("+-", r"00:\d\d: ttyS0 at I/O 0x3f8", "numbered one lower without it"),
    ("+-", r"rtc_cmos 00:\d\d: |.*rtc_cmos 00:\d\d$", "numbered one lower without it"),
    ("+-", r"proc-iomem 000c[a-f]\w+-000\w+ : Adapter ROM", "the option ROM that loads the kernel is our own"),
    ("+-", r"acpi (?:FACP|facp) 000[02]0 .*", "checksum and address of the DSDT"),
    ("-", r"mtrr: ", "there INIT clears the MTRRs of the other CPUs; by SDM vol. 3, table 10-1, it does not"),
]


def peer():
    """QEMU 10.0's path, None when it is not installed."""
    exe = shutil.which(PEER)
    said = subprocess.run([exe, "-version"], capture_output=True, text=True, check=False).stdout if exe else ""
    return exe if said.startswith("QEMU emulator version 10.0") else None


def facts(program, args):
    """The lines that a guest prints, each with how often."""
    kernel, initrd = parts("kernel", "full")
    with Guest("-M", "pc-i440fx-10.0", "-m", "512", "-nodefaults", "-vga", "std", "-kernel", kernel, "-initrd", initrd,
               "-append", "console=ttyS0 panic=-1 nokaslr run=facts", *args, program=program) as g:
        text = g.ended()
    lines = collections.Counter()
    for line in text[text.index("Linux version"):].splitlines():
        for pattern, by in NOISE:
            line = re.sub(pattern, by, line)
        lines[line.rstrip()] += 1
    del lines[""]
    return lines


def reason(sign, line):
    return next((why for signs, pattern, why in KNOWN if sign in signs and re.match(pattern, line)), None)


def compare_once(theirs, args):
    a, b = facts(theirs, args), facts(PROGRAM, args)
    both = [("-", line, n) for line, n in (a - b).items()] + [("+", line, n) for line, n in (b - a).items()]
    rest = [f"{sign}{line}" + (f"   ({n} times)" if n > 1 else "") for sign, line, n in both if not reason(sign, line)]
    known = [f"{sign}{line}   [{reason(sign, line)}]" for sign, line, _ in both if reason(sign, line)]
    return rest, known


def compare(theirs, args, attempts=3):
    """(differences, [known difference with its reason]). What a busy host causes, such as timers that fail, is not there each time."""
    rest, known = compare_once(theirs, args)
    while rest and attempts > 1:
        again, known = compare_once(theirs, args)
        rest = [line for line in rest if line in again]
        attempts -= 1
    return rest, known


def main():
    theirs = peer()
    if not theirs:
        sys.exit(f"compare.py: {PEER} 10.0 is not installed; scripts/bench installs it")
    rest, known = compare(theirs, sys.argv[1:])
    print("\n".join(known))
    print(f"{len(known)} known differences, {len(rest)} others")
    print("\n".join(rest))
    return 1 if rest else 0


if __name__ == "__main__":
    sys.exit(main())
