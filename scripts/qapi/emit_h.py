"""The header of a module: the C types, their tables' names and the functions the module's code must give."""
import re

from cnames import base_type, const, decl, has, ident, list_name, tail
from entities import embedded_types


def header_path(module):
    return re.sub(r"\.json$", ".gen.h", module)


def comment(text):
    return "/* " + text.split("\n\n")[0].replace("*/", "* /") + " */"


def own(schema, module, items):
    return [x for x in items.values() if x.module == module]


def enum(t):
    out = [comment(t.item.doc), "typedef enum {"]
    out += [f"    {const(t, v.name)}," for v in t.values]
    out += [f"}} {t.name};", f"enum {{ {t.prefix}__COUNT = {len(t.values)} }};", ""]
    return out


def in_order(structs):
    """Structs such that what lies inside another by value comes before it."""
    out = []

    def visit(t):
        if t in out:
            return
        for x in embedded_types(t):
            if x in structs:
                visit(x)
        out.append(t)
    for t in structs:
        visit(t)
    return out


def struct(t):
    out = [comment(t.item.doc), f"struct {t.name} {{"]
    for m in t.members:
        if m.has_flag():
            out.append(f"    bool {has(m.name)};")
        out.append(f"    {decl(m.type, ident(m.name))};")
    if t.tag:
        out.append(f"    union {{ /* by {ident(t.tag)} */")
        out += [f"        {b.name} {ident(value)};" for value, b in t.branches]
        out.append("    } u;")
    if t.rest:
        out.append(f"    struct json_object *rest; /* config of the class that {ident(t.rest[0].name)} names; NULL: none given */")
    if not t.members and not t.tag:
        out.append("    char unused;")
    out += ["};", ""]
    if t.parent_conf:
        out += [f'_Static_assert(offsetof({t.name}, {ident(m.name)}) == offsetof({t.parent_conf.name}, {ident(m.name)}), '
                f'"{t.name} begins with {t.parent_conf.name}");' for m in t.parent_conf.members] + [""]
    return out


def alternate(t):
    out = [comment(t.item.doc), f"struct {t.name} {{", "    int kind; /* QK_* of the branch */", "    union {"]
    out += [f"        {decl(m.type, ident(m.name))}; /* QK_{m.type.kind} */" for m in t.branches]
    return out + ["    } u;", "};", ""]


def ret_decl(t):
    """The parameter through which a command returns: pointer to a value of the type, as a member has it."""
    b = base_type(t)
    return f"{b}{'' if b.endswith('*') else ' '}*ret"


def command_proto(c):
    params = ["QCallContext *cc"]
    if c.args:
        params.append(f"const {c.args.name} *args")
    if c.ret:
        params.append(ret_decl(c.ret))
    return f"bool qmp_{tail(c.name)}({', '.join(params + ['Error **errp'])})"


def print_proto(c):
    b = base_type(c.ret)
    return f"void {c.hmp_print}(QCallContext *cc, {b}{'' if b.endswith('*') else ' '}const *ret)"


def hmp_proto(h):
    args = f"const {h.args.name} *args, " if h.args else ""
    return f"bool hmp_{tail(h.name)}(QCallContext *cc, {args}Error **errp)"


def types_part(schema, module):
    types = own(schema, module, schema.types)
    structs = [t for t in types if t.kind in ("STRUCT", "UNION")]
    out = []
    for t in types:
        if t.kind == "ENUM":
            out += enum(t)
    for t in types:
        if t.kind != "ENUM":
            out.append(f"typedef struct {t.name} {t.name};")
    out.append("")
    for t in types:
        if not t.embedded and not t.made_for:
            star = " *" if t.is_pointer() else " "
            out.append(f"typedef struct {{ size_t len; {t.name}{star}*items; }} {list_name(t)};")
    out.append("")
    for t in types:
        if t.kind == "ALTERNATE":
            out += alternate(t)
    for t in in_order(structs):
        out += struct(t)
    out += [f"extern const QType qtype_{t.name};" for t in types]
    return out


def class_part(c):
    out = []
    if c.ops is c:
        if c.conf is None or not c.conf.name == c.c_name + "Conf":
            out.append(f"typedef {c.conf.name if c.conf else 'EmptyConf'} {c.c_name}Conf;")
        out.append(f"extern const ObjectOps {c.ops_name}_ops;")
    out.append(f"extern const QClass qclass_{tail(c.name)};")
    return out


def items_part(schema, module):
    out = []
    for c in own(schema, module, schema.commands):
        out += [command_proto(c) + ";"] + ([print_proto(c) + ";"] if c.hmp_print else [])
        out.append(f"extern const QCommand qcommand_{tail(c.name)};")
    out += [f"extern const QEvent qevent_{tail(e.name)};" for e in own(schema, module, schema.events)]
    out += [f"extern const QOption qoption_{tail(o.name)};" for o in own(schema, module, schema.options)]
    for h in own(schema, module, schema.hmp):
        out += [hmp_proto(h) + ";", f"extern const QHmp qhmp_{tail(h.name)};"]
    for c in own(schema, module, schema.classes):
        out += class_part(c)
    return out


def module_header(schema, module):
    guard = "GEN_" + re.sub(r"[^A-Z0-9]", "_", header_path(module).upper())
    out = [f"/* Generated by scripts/qapi/gen.py from {module}; do not edit. */", f"#ifndef {guard}", f"#define {guard}", "",
           '#include "qapi/builtin.gen.h"']
    out += [f'#include "{header_path(i)}"' for i in schema.includes[module]]
    out += ["", "typedef struct ObjectOps ObjectOps;", ""]
    out += types_part(schema, module) + [""] + items_part(schema, module)
    return "\n".join(out + ["", "#endif", ""])
