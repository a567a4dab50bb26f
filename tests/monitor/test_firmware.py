"""-smbios and -acpitable: the bytes that firmware reads, and what QEMU 10.0's reads where that is installed."""
import shutil
import struct
import subprocess

import pytest
from emulator import PROGRAM, run

PEER = shutil.which("qemu-system-x86_64")
# At 0xf0000: writes the first CX bytes of fw_cfg items 0x19 (the list of files) and 0x20 to 0x33 to port 0xe9, and ends by port 0x501.
CODE = ("fa bd1900 ba1005 89e8 ef b9%s ba1105 ec e6e9 e2f8 83fd19 7503 bd1f00 45 83fd34 75e1 ba0105 ee f4")
RESET = bytes.fromhex("ea000000f0")  # ljmp 0xf000:0


def files(tmp_path, program, *args, size=4096):
    """{name: contents} of the files, the first bytes of each."""
    bios, out = tmp_path / "bios", tmp_path / "out"
    code = bytes.fromhex(CODE % struct.pack("<H", size).hex())
    bios.write_bytes(code.ljust(0xfff0, b"\0") + RESET.ljust(16, b"\0"))
    p = subprocess.run([program, "-M", "pc-i440fx-10.0", "-m", "128", "-nodefaults", "-display", "none", "-bios", bios,
                        "-chardev", f"file,id=o,path={out}", "-device", "isa-debugcon,iobase=0xe9,chardev=o",
                        "-device", "isa-debug-exit,iobase=0x501", *args], capture_output=True, text=True, timeout=30, check=False)
    data = out.read_bytes()
    assert len(data) == 21 * size, p.stderr
    found = {}
    for at in range(4, 4 + 64 * int.from_bytes(data[:4], "big"), 64):
        length, key, name = struct.unpack(">IHxx56s", data[at:at + 64])
        start = size * (1 + key - 0x20)
        found[name.split(b"\0")[0].decode()] = data[start:start + min(length, size)]
    return found


def peer():
    if not PEER or "version 10.0" not in subprocess.run([PEER, "-version"], capture_output=True, text=True, check=False).stdout:
        pytest.skip("QEMU 10.0 is not installed")
    return PEER


def structure(number, fields, *strings):
    return bytes([number, 4 + len(fields), 0x34, 0x12]) + fields + b"".join(s + b"\0" for s in strings) + (b"\0" if strings else b"\0\0")


SMBIOS = [
    ["type=0,vendor=V,version=W,date=10/10/2020,release=3.7,uefi=on"], ["type=0"],
    ["type=1,manufacturer=M,product=P,version=V,serial=S,uuid=12345678-1234-5678-9abc-def012345678,sku=K,family=F"],
    ["type=1,serial=a", "type=1,sku=b,serial=c"], ["type=2,manufacturer=M,product=P,version=V,serial=S,asset=A,location=L"], ["type=2"],
    ["type=3,manufacturer=M,version=V,serial=S,asset=A,sku=K"],
    ["type=4,sock_pfx=XX,manufacturer=M,version=V,serial=S,asset=A,part=P,max-speed=3000,current-speed=2500,processor-family=198,"
     "processor-id=0x123456789abcdef0"],
    ["type=8,external_reference=E,internal_reference=I,connector_type=2,port_type=3", "type=8"],
    ["type=11,value=one,value=two,,three", "type=11,path=TEXT"], ["type=17,loc_pfx=LL,bank=B,manufacturer=M,serial=S,asset=A,part=P,speed=4000"],
    ["type=41,designation=D,kind=video,pcidev=v0", "type=41,kind=sas,instance=3"],
    ["file=S200", "file=S2", "type=0", "file=S200"], ["file=S1", "type=4,serial=9"],
]


@pytest.mark.parametrize("said", SMBIOS, ids=lambda s: s[0][:12])
def test_smbios_is_qemus(tmp_path, said):
    """Both files, byte for byte."""
    (tmp_path / "TEXT").write_text("from a file")
    (tmp_path / "S200").write_bytes(structure(200, b"\1\0", b"abc"))
    (tmp_path / "S2").write_bytes(structure(2, b"\1\2\3\4", b"a", b"b", b"c", b"d"))
    (tmp_path / "S1").write_bytes(structure(1, bytes(23)))
    args = ["-device", "VGA,id=v0"]
    for text in said:
        args += ["-smbios", text.replace("=TEXT", f"={tmp_path}/TEXT").replace("file=", f"file={tmp_path}/")]
    theirs, ours = files(tmp_path, peer(), *args), files(tmp_path, PROGRAM, *args)
    for name in ("etc/smbios/smbios-tables", "etc/smbios/smbios-anchor"):
        assert ours[name] == theirs[name]


def test_smbios(tmp_path):
    """Without anybody to compare with: fields that were said are there, and query-uuid's is the system's."""
    tables = files(tmp_path, PROGRAM, "-smbios", "type=1,serial=first,uuid=00112233-4455-6677-8899-aabbccddeeff",
                   "-smbios", "type=1,serial=last", "-smbios", "type=11,value=x")["etc/smbios/smbios-tables"]
    assert tables[0] == 1 and bytes.fromhex("33221100554477668899aabbccddeeff") in tables
    assert b"\0last\0" in tables and b"first" not in tables and b"\x0b\x05\x00\x0e\x01x\0\0" in tables


def acpi_tables(data):
    at, out = 0, []
    while data[at:at + 4].strip(b"\0"):
        size = int.from_bytes(data[at + 4:at + 8], "little")
        out.append(data[at:at + size])
        at += size
    return out


def test_acpitable(tmp_path):
    """After the machine's own, with right length and sum, and listed; a SLIC's ids are RSDT's too."""
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"defg")
    whole = b"SSDT" + struct.pack("<IBB6s8sI4sI", 0, 2, 0, b"MYOEM ", b"MYTABLE ", 7, b"ABCD", 9) + b"body"
    (tmp_path / "whole").write_bytes(whole)
    args = ["-acpitable", f"sig=SLIC,rev=3,oem_id=XX,oem_table_id=YYYY,oem_rev=5,asl_compiler_id=CC,asl_compiler_rev=6,data={tmp_path}/a:{tmp_path}/b",
            "-acpitable", f"file={tmp_path}/whole,rev=4"]
    tables = acpi_tables(files(tmp_path, PROGRAM, *args, size=16384)["etc/acpi/tables"])
    slic, ssdt, rsdt = tables[-3:]
    assert slic[:9] == b"SLIC" + struct.pack("<IB", 43, 3) and slic[10:] == b"XX\0\0\0\0YYYY\0\0\0\0\5\0\0\0CC\0\0\6\0\0\0abcdefg"
    assert ssdt[4:9] == struct.pack("<IB", len(whole), 4) and ssdt[10:] == whole[10:]
    assert sum(slic) & 255 == 0 and sum(ssdt) & 255 == 0
    assert rsdt[10:24] == slic[10:24]
    at = sum(map(len, tables[:-3]))
    assert rsdt[-8:] == struct.pack("<II", at, at + len(slic))
    assert acpi_tables(files(tmp_path, peer(), *args, size=16384)["etc/acpi/tables"])[-3:-1] == [slic, ssdt]


@pytest.mark.parametrize("args, error", [
    (["-smbios", "type=5"], "Parameter 'type' does not accept value '5'"),
    (["-smbios", "type=1,serail=x"], "Invalid parameter 'serail'\nDid you mean 'serial'?"),
    (["-smbios", "type=0,release=300.1"], "Invalid release '300.1'"),
    (["-smbios", "type=1,uuid=xx"], "failed to parse UUID string"),
    (["-smbios", "type=4,max-speed=70000"], "Parameter 'max-speed' expects uint16_t"),
    (["-smbios", "type=41,pcidev=zz"], "there is no PCI device with this id"),
    (["-smbios", "file=/nonexist"], "can't open file /nonexist: No such file or directory"),
    (["-smbios", "file=/dev/zero"], "there are at most 65535 bytes"),
    (["-smbios", "file=/dev/null"], "this is no SMBIOS structure"),
    (["-smbios", "type=11,value="], "a string of type 11 cannot be empty"),
    (["-smbios", "type=2", "-M", "none"], "-smbios: this machine has no firmware that takes tables"),
    (["-acpitable", "sig=ABCD"], "'-acpitable' requires one of 'data' or 'file'"),
    (["-acpitable", "file=/dev/null"], "ACPI table claiming to have header is too short, available: 0, expected: 36"),
    (["-acpitable", "sig=ABCDE,data=/dev/null"], "Parameter 'sig' has at most 4 characters"),
    (["-acpitable", "data=/dev/zero"], "/dev/zero: there are at most 65535 bytes"),
])
def test_errors(args, error):
    status, _, err = run(*args, "-display", "none")
    assert status == 1 and error in err, err
