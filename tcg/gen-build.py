#!/usr/bin/python3
"""Makes the builder's functions, one per row of ops.def: gen-build.py ops.def > build.gen.h

ir_OP(region, width, arguments..., other operands..., results after the first...) returns
the first result. Results after the first are pointers and may be NULL. See tcg/build.h.
"""
import re
import sys

ROW = re.compile(r'^OP\((\w+),\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)$')


def function(name, res, args, traits, doc):
    traits = traits.split("-")[0].replace(" ", "")
    params, init, body = ["IrRegion *r"], [f".op = IR_{name}"], []
    refs = list(args)
    if "W" in traits:
        params.append("IrWidth w")
        init.append(".w = w")
    first = 0
    if "A" in traits:
        params.append("IrAddr m")
        refs = refs[2:] if args.startswith("BI") else refs[1:]
        first = len(args) - len(refs)
    imm_first = name in ("set", "setv", "sts")
    if imm_first:
        params.append("uint64_t " + ("offset" if name == "sts" else "global"))
        init.append(".imm = " + params[-1].split()[1])
    names = []
    for n, letter in enumerate(refs):
        names.append({"f": "flags", "B": "base", "I": "index"}.get(letter, "abcde"[n]))
    if len(set(names)) != len(names):
        names = [f"flags{n}" if x == "flags" else x for n, x in enumerate(names)]
    for n, x in enumerate(names):
        params.append(f"IrRef {x}")
        init.append(f".arg[{first + n}] = {x}")
    if "C" in traits:
        params.append("IrCond cond")
        init.append(".aux = cond")
    if "J" in traits:
        params.append("unsigned block")
        init.append(".imm = block")
    native_mem = name in ("native_m", "native_st", "native_xm")
    if ("N" in traits and not imm_first) or native_mem:
        params.append("uint64_t imm")
        init.append(".imm = imm")
    if "D" in traits:
        params.append("uint32_t word")
        init.append(".arg[0] = word")
    if "X" in traits:
        params.append("unsigned aux")
        init.append(".aux = aux")
    if "Y" in traits:
        params.append("unsigned aux2")
        init.append(".aux2 = aux2")
    ret = "IrRef" if res else "void"
    for n in range(1, len(res)):
        out = "flags_out" if res[n] == "f" else "high"
        params.append(f"IrRef *{out}")
        body.append(out)
    text = f"/* {doc} */\nstatic inline {ret} ir_{name}({', '.join(params)})\n{{\n"
    text += f"    IrInsn in = {{ {', '.join(init)} }};\n"
    if "A" in traits:
        text += f"    ir_set_addr(r, &in, m, {'true' if native_mem else 'false'});\n"
    fn = "ir_emit_pure" if "F" in traits else "ir_emit"
    if body:
        text += f"    IrRef *out[2] = {{ {', '.join(body)} }};\n\n"
    call = f"{fn}(r, &in, {'out' if body else 'NULL'})"
    text += f"    return {call};\n" if res else f"    {call};\n"
    return text + "}\n"


def main():
    print("/* Made by tcg/gen-build.py from tcg/ops.def. */")
    for n, line in enumerate(open(sys.argv[1]), 1):
        if not line.startswith("OP("):
            continue
        m = ROW.match(line.rstrip())
        if not m:
            sys.exit(f"{sys.argv[1]}:{n}: not a row: {line}")
        print(function(*m.groups()))


if __name__ == "__main__":
    main()
