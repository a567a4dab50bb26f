#!/usr/bin/python3
"""Makes the rows and look-up tables of the decoder: decode-gen.py OUT.c OUT.h FEATURES DEF...

The format of the rows is described on top of decode.def. Two rows for the same encoding are an error.
"""
import re
import sys

MAPS = {"": 0, "0F": 1, "0F38": 2, "0F3A": 3, "V0F": 4, "V0F38": 5, "V0F3A": 6}
NUM_MAPS = 7
PREFIXES = {"": ([0, 1, 2, 3], 0), "NP": ([0], 1), "NFx": ([0, 1], 1), "66": ([1], 1), "F3": ([2], 1), "F2": ([3], 1)}
PREFIX_ENUM = {"": "ANY", "NP": "NONE", "NFx": "NONE_66", "66": "66", "F3": "F3", "F2": "F2"}
PLACES = "ABCDEGHIJMNOPQRSUVWXYZ"
MODRM_PLACES = set("CDEGHMNPQRSUVW")
SIZES = ["b", "w", "d", "q", "dq", "bs", "v", "z", "y", "m", "a", "p", "s", "n", "ss", "sd", "ps", "pd", "t", "env",
         "fst", "fx", "x"]
FIXED = {"AL": ("RAX", "b"), "CL": ("RCX", "b"), "DX": ("RDX", "w"), "1": ("ONE", "b"), "rAX": ("RAX", "v"),
         "eAX": ("RAX", "z"), "ST0": ("ST0", "t"), "ES": ("ES", "w"), "CS": ("CS", "w"), "SS": ("SS", "w"), "DS": ("DS", "w"),
         "FS": ("FS", "w"), "GS": ("GS", "w")}
ATTRS = ["lock", "i64", "o64", "d64", "f64", "cpl0", "pe", "umip", "anymod", "fpu", "mmx", "sse", "l0"]
FLAGS = "CPAZSO"
SPLIT = {"mode": 2, "prefix": 4, "mod": 2, "reg": 8, "rm": 8}


class Row:
    def __init__(self, where, text, features):
        self.where = where
        cols = [c.strip() for c in text.split("|")]
        if len(cols) != 5:
            self.fail("5 columns separated by | are needed")
        self.encoding(cols[0])
        self.mnemonic = cols[1]
        self.operands = [self.operand(o) for o in cols[2].split()]
        if len(self.operands) > 4:
            self.fail("at most 4 operands")
        m = re.match(r"(\w+)(?:\((.*)\))?$", cols[3])
        if not m:
            self.fail(f"body {cols[3]}")
        self.body, self.arg = m.group(1), m.group(2) or "0"
        self.attributes(cols[4], features)

    def fail(self, why):
        sys.exit(f"{self.where}: {why}")

    def encoding(self, text):
        self.prefix, self.map, self.count, self.mod, self.reg, self.rm = "", "", 1, None, None, None
        tokens = text.split()
        if tokens[0] in PREFIXES and len(tokens) > 1 and (tokens[0] not in ("66", "F2", "F3") or
                                                          re.match(r"V?[0-9A-F]{2}", tokens[1])):
            self.prefix = tokens.pop(0)
        if tokens[0] in MAPS:
            self.map = tokens.pop(0)
        m = re.match(r"([0-9A-F]{2})(\+r|\+cc)?$", tokens.pop(0))
        if not m:
            self.fail(f"opcode in {text}")
        self.opcode = int(m.group(1), 16)
        self.count = {None: 1, "+r": 8, "+cc": 16}[m.group(2)]
        for t in tokens:
            if re.match(r"/[0-7]$", t):
                self.reg = int(t[1])
            elif t in ("mem", "reg"):
                self.mod = t
            elif re.match(r"rm=[0-7]$", t):
                self.rm = int(t[3])
            else:
                self.fail(f"{t} in an encoding")
        if self.rm is not None and self.mod != "reg":
            self.fail("rm= needs reg")

    def operand(self, text):
        if text in FIXED:
            return FIXED[text]
        place, size = text[0], text[1:]
        if place not in PLACES or size not in SIZES:
            self.fail(f"operand {text}")
        return place, size

    def attributes(self, text, features):
        self.attrs, self.undefined, self.features = [], "", []
        for a in text.split():
            if a.startswith("-"):
                self.undefined += a[1:]
            elif a in ATTRS:
                self.attrs.append(a)
            elif a in features:
                self.features.append(a)
            else:
                self.fail(f"unknown attribute {a}; CPUID features are listed in features.def")
        if "mmx" in self.attrs and not self.features:
            self.features = ["mmx"]
        if len(self.features) > 1:
            self.fail("one feature a row")
        if any(f not in FLAGS for f in self.undefined):
            self.fail(f"flags -{self.undefined}")

    @property
    def modrm(self):
        return (self.mod or self.reg is not None or "anymod" in self.attrs or
                any(p in MODRM_PLACES for p, _ in self.operands if len(p) == 1))

    def cells(self):
        """The (mode, prefix, mod, reg, rm) this row covers."""
        modes = [0] if "i64" in self.attrs else [1] if "o64" in self.attrs else [0, 1]
        mods = {None: [0, 1], "mem": [0], "reg": [1]}[self.mod]
        for mode in modes:
            for p in PREFIXES[self.prefix][0]:
                for mod in mods:
                    for reg in range(8) if self.reg is None else [self.reg]:
                        for rm in range(8) if self.rm is None else [self.rm]:
                            yield mode, p, mod, reg, rm

    def c(self):
        ops = ", ".join(f"{{ X86_AT_{p}, X86_SZ_{s} }}" for p, s in self.operands)
        attr = " | ".join("X86_ATTR_" + a.upper() for a in self.attrs) or "0"
        und = " | ".join("IR_" + f for f in self.undefined) or "0"
        feat = "X86_F_" + self.features[0] if self.features else "X86_F_none"
        opt = lambda v: -1 if v is None else v
        mod = {None: "ANY", "mem": "MEM", "reg": "REG"}[self.mod]
        return (f'    {{ "{self.mnemonic}", gen_{self.body}, {self.arg}, {{ {ops} }}, {len(self.operands)}, {attr}, {und}, '
                f"{feat}, {MAPS[self.map]}, 0x{self.opcode:02x}, {self.count}, X86_PREFIX_{PREFIX_ENUM[self.prefix]}, "
                f"X86_MOD_{mod}, {opt(self.reg)}, {opt(self.rm)}, {'true' if self.modrm else 'false'} }},")


def read(paths, features):
    rows = []
    for path in paths:
        for n, line in enumerate(open(path), 1):
            line = line.rstrip()
            if line and not line.startswith("#"):
                rows.append(Row(f"{path}:{n}", line, features))
    return rows


def fill(rows):
    """map -> opcode -> cell -> (priority, row number)"""
    table = {}
    for n, row in enumerate(rows):
        pri = PREFIXES[row.prefix][1]
        for opcode in range(row.opcode, row.opcode + row.count):
            cells = table.setdefault((MAPS[row.map], opcode), {})
            for cell in row.cells():
                old = cells.get(cell)
                if old and old[0] == pri:
                    row.fail(f"overlaps {rows[old[1]].where}")
                if not old or old[0] < pri:
                    cells[cell] = (pri, n)
    return table


def split_of(cells):
    """Dimensions in which the cells differ."""
    get = lambda c: cells.get(c, (0, -1))[1]
    names = list(SPLIT)
    out = []
    every = [(a, b, c, d, e) for a in range(2) for b in range(4) for c in range(2) for d in range(8) for e in range(8)]
    for k, name in enumerate(names):
        if any(get(c) != get(c[:k] + (0,) + c[k + 1:]) for c in every):
            out.append(name)
    return out


def leaves_of(cells, split):
    dims = [range(SPLIT[n]) if n in split else [0] for n in SPLIT]
    for a in dims[0]:
        for b in dims[1]:
            for c in dims[2]:
                for d in dims[3]:
                    for e in dims[4]:
                        yield cells.get((a, b, c, d, e), (0, -1))[1] + 1


def emit_tables(out, rows, table):
    slots = {m: [(0, 0)] * 256 for m in range(NUM_MAPS)}
    leaves, seen = [0], {}
    for (m, opcode), cells in sorted(table.items()):
        for mode in range(2):
            kinds = {bool(rows[v[1]].modrm) for c, v in cells.items() if c[0] == mode}
            if len(kinds) > 1:
                sys.exit(f"opcode {m}:{opcode:02X}: some rows have ModRM, some have none")
        modrm = any(rows[v[1]].modrm for v in cells.values())
        split = split_of(cells)
        tup = tuple(leaves_of(cells, split))
        if tup not in seen:
            seen[tup] = len(leaves)
            leaves.extend(tup)
        bits = " | ".join("X86_SPLIT_" + s.upper() for s in split) or "0"
        slots[m][opcode] = (seen[tup], bits + (" | X86_SLOT_MODRM" if modrm else ""))
    out.append(f"const X86Slot x86_slots[{NUM_MAPS}][256] = {{")
    for m in range(NUM_MAPS):
        out.append("    {")
        out += [f"        {{ {b}, {s} }}," for b, s in slots[m]]
        out.append("    },")
    out.append("};\n\nconst uint16_t x86_leaves[] = {")
    for n in range(0, len(leaves), 16):
        out.append("    " + ", ".join(str(v) for v in leaves[n:n + 16]) + ",")
    out.append("};")


def main():
    out_c, out_h, features_path, *paths = sys.argv[1:]
    features = set(re.findall(r"^FEATURE\((\w+),", open(features_path).read(), re.M))
    rows = read(paths, features)
    table = fill(rows)
    bodies = sorted({r.body for r in rows} | {"todo"})
    with open(out_h, "w") as f:
        f.write("/* Made by target/i386/decode-gen.py. */\n")
        f.write(f"enum {{ X86_NUM_ROWS = {len(rows)} }};\n")
        f.write("".join(f"void gen_{b}(X86Gen *g);\n" for b in bodies))
    out = ["/* Made by target/i386/decode-gen.py. */", '#include "target/i386/gen.h"', '#include "target/i386/gen-fp.h"', "",
           "const X86Row x86_insn_rows[X86_NUM_ROWS] = {"]
    out += [r.c() for r in rows]
    out.append("};\n")
    emit_tables(out, rows, table)
    with open(out_c, "w") as f:
        f.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
