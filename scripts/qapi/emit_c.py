"""The tables of a module's types: members, enum values, defaults and conditions."""
import json

from cnames import anon, const, has, ident, integer, string, tail, type_symbol, value_size
from emit_h import header_path, own


def item(it, features=None):
    """Initializer of a QItem; the name of the features array when there are some."""
    fields = [f".name = {string(it.name)}", f".doc = {string(it.doc)}", f".since = {string(it.since)}"]
    if it.instead:
        fields.append(f".instead = {string(it.instead)}")
    if it.stability != "stable":
        fields.append(f".stability = STABILITY_{it.stability.upper()}")
    if it.features:
        names = ", ".join(string(f) for f in it.features)
        fields.append(f".features = (const char *const[]){{ {names}, NULL }}")
    return "{ " + ", ".join(fields) + " }"


def simple_item(name, doc):
    return f"{{ .name = {string(name)}, .doc = {string(doc)}, .since = \"10.0\" }}"


class Anonymous:
    """Tables of lists, arrays, refs, buffers and timers that a file uses, each once, static in it."""

    def __init__(self):
        self.done, self.out = set(), []

    def use(self, t):
        symbol = type_symbol(t)
        if t.module is not None or symbol.startswith("qtype_") or symbol in self.done:
            return symbol
        self.done.add(symbol)
        fields = [f".item = {simple_item(t.name, describe(t))}", f".kind = QK_{t.kind}", f".size = {value_size(t)}"]
        if t.kind in ("LIST", "ARRAY"):
            fields.append(f".element = &{self.use(t.element)}")
        if t.kind in ("ARRAY", "BUFFER"):
            fields.append(f".len = {t.len}")
        if t.kind == "REF":
            fields.append(f".ref_class = {string(t.cls)}")
        if t.kind == "TIMER":
            fields.append(f".clock = {string(t.clock)}")
        self.out.append(f"static const QType {anon(t)} = {{ {', '.join(fields)} }};")
        return symbol


def describe(t):
    return {"LIST": "list of {e}", "ARRAY": "{n} of {e}", "REF": "id of an object of class {c}", "BUFFER": "up to {n} bytes",
            "TIMER": "deadline in ns on the {k} clock, -1 when unarmed", "RAMBLOCK": "guest memory"}[t.kind].format(
                e=getattr(t, "element", t).name, n=getattr(t, "len", 0), c=getattr(t, "cls", ""), k=getattr(t, "clock", ""))


def scalar(t, value):
    """Initializer of a QScalar by the type's signedness."""
    while t.kind == "ARRAY":
        t = t.element
    if t.kind == "NUMBER":
        return f"{{ .d = {float(value)!r} }}"
    if t.kind == "ENUM":
        return f"{{ .i = {const(t, value) if isinstance(value, str) else value} }}"
    if t.kind == "INT" and t.lo == 0:
        return f"{{ .u = UINT64_C({value}) }}"
    return f"{{ .i = {integer(int(value))} }}"


def c_value(m):
    """C expression of a constant default; NULL for the empty list."""
    kind, value = m.type.kind, m.default[1]
    if kind == "BOOL":
        return "true" if value else "false"
    if kind == "INT":
        return integer(value) if value < 1 << 63 else f"UINT64_C({value})"
    if kind == "NUMBER":
        return repr(float(value))
    if kind == "STR":
        return f"qexpr_str({string(value)})"
    return const(m.type, value) if kind == "ENUM" else None


def default_function(struct, m):
    value = m.default[2].c if m.default[0] == "expr" else c_value(m)
    name = f"default_{struct.name}_{tail(m.name)}"
    if value is None:
        body = f"    memset(&c->{ident(m.name)}, 0, sizeof(c->{ident(m.name)}));"
    elif m.default[0] == "expr":
        to = {"BOOL": "!!", "ENUM": f"({m.type.name})"}.get(m.type.kind) or f"({m.type.ctype})"
        body = f"    c->{ident(m.name)} = {to}({value});"
    else:
        body = f"    c->{ident(m.name)} = {value};"
    return f"static void {name}(void *base)\n{{\n    {struct.name} *c = base;\n\n{body}\n}}\n"


def present_function(struct, conf, m):
    text = m.present_if[1].c
    lines = [f"static bool present_{struct.name}_{tail(m.name)}(const void *state, const void *conf)", "{"]
    if "s->" in text:
        lines.append(f"    const {struct.name} *s = state;")
    if "c->" in text:
        lines.append(f"    const {conf.name} *c = conf;")
    return "\n".join(lines + ["", f"    return {text} != 0;", "}", ""])


def member(struct, conf, m, anonymous):
    name = ident(m.name)
    f = [f".item = {item(m)}", f".type = &{anonymous.use(m.type)}", f".offset = offsetof({struct.name}, {name})",
         f".has_offset = {f'offsetof({struct.name}, {has(m.name)})' if m.has_flag() else '-1'}"]
    for flag in ("required", "settable", "inherited"):
        if getattr(m, flag):
            f.append(f".{flag} = true")
    for limit in ("min", "max"):
        if getattr(m, limit) is not None:
            f.append(f".has_{limit} = true, .{limit} = {scalar(m.type, getattr(m, limit))}")
    if m.unit:
        f.append(f".unit = {string(m.unit)}")
    if m.default:
        text = m.default[1] if m.default[0] == "expr" else json.dumps(m.default[1], ensure_ascii=False)
        f.append(f".default_text = {string(text)}, .set_default = default_{struct.name}_{tail(m.name)}")
        if m.default[0] == "expr":
            f.append(".default_is_expr = true")
    if m.alias:
        f.append(f".alias = {string(m.alias)}")
    if m.reset != "VALUE":
        f.append(f".reset = RESET_{m.reset}")
    elif m.reset_value not in (0, False):
        f.append(f".reset_value = {scalar(m.type, m.reset_value)}")
    if m.reset_from:
        f.append(f".reset_from = offsetof({conf.name}, {ident(m.reset_from)})")
    f.append(f".state_since = {m.state_since}")
    if m.present_if:
        f.append(f".present_if = present_{struct.name}_{tail(m.name)}")
    return "    { " + ",\n      ".join(f) + " },"


def struct_table(t, conf, anonymous, out):
    out += [default_function(t, m) for m in t.members if m.default]
    out += [present_function(t, conf, m) for m in t.members if m.present_if]
    rows = [member(t, conf, m, anonymous) for m in t.members]
    if rows:
        out += [f"static const QMember members_{t.name}[] = {{", *rows, "};"]
    if t.tag:
        enum = t.member(t.tag).type
        out += [f"static const QBranch branches_{t.name}[] = {{"]
        out += [f"    {{ {string(v)}, {const(enum, v)}, &qtype_{b.name} }}," for v, b in t.branches] + ["};"]
    f = [f".item = {item(t.item)}", f".kind = QK_{t.kind}", f".size = sizeof({t.name})"]
    if t.embedded:
        f.append(".embedded = true")
    if rows:
        f.append(f".members = members_{t.name}, .num_members = {len(rows)}")
    if t.tag:
        f.append(f".branches = branches_{t.name}, .num_branches = {len(t.branches)}")
        f.append(f".tag_member = {t.members.index(t.member(t.tag))}, .union_offset = offsetof({t.name}, u)")
    if t.rest:
        f.append(f".rest = &(const QRest){{ offsetof({t.name}, rest), {t.members.index(t.rest[0])}, QCLASS_{t.rest[1].upper()} }}")
    out += [f"const QType qtype_{t.name} = {{", "    " + ",\n    ".join(f), "};", ""]


def enum_table(t, out):
    out += [f"static const QEnumValue values_{t.name}[] = {{"]
    out += [f"    {{ {item(v)}, {const(t, v.name)} }}," for v in t.values] + ["};"]
    out += [f"const QType qtype_{t.name} = {{", f"    .item = {item(t.item)}, .kind = QK_ENUM, .size = sizeof({t.name}),",
            f"    .values = values_{t.name}, .num_values = {len(t.values)}", "};", ""]


def alternate_table(t, anonymous, out):
    out += [f"static const QBranch branches_{t.name}[] = {{"]
    out += [f"    {{ {string(m.name)}, QK_{m.type.kind}, &{anonymous.use(m.type)} }}," for m in t.branches] + ["};"]
    out += [f"const QType qtype_{t.name} = {{", f"    .item = {item(t.item)}, .kind = QK_ALTERNATE, .size = sizeof({t.name}),",
            f"    .branches = branches_{t.name}, .num_branches = {len(t.branches)}, .union_offset = offsetof({t.name}, u)",
            "};", ""]


def module_types(schema, module):
    conf_of = {c.state: c.conf for c in own(schema, module, schema.classes) if c.state}
    anonymous, out = Anonymous(), []
    for t in own(schema, module, schema.types):
        if t.kind == "ENUM":
            enum_table(t, out)
        elif t.kind == "ALTERNATE":
            alternate_table(t, anonymous, out)
        else:
            struct_table(t, conf_of.get(t), anonymous, out)
    head = [f"/* Generated by scripts/qapi/gen.py from {module}; do not edit. */", f'#include "{header_path(module)}"',
            '#include "qapi/expr.h"', ""]
    return "\n".join(head + anonymous.out + [""] + out)
