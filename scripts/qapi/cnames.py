"""Names and declarations in C of what the schema names."""
import re

KEYWORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
bool true false asm typeof unix linux i386""".split())


def ident(name):
    """Member, variable or function part: 'isa-serial' -> isa_serial."""
    c = re.sub(r"[^A-Za-z0-9]", "_", name)
    if c in KEYWORDS:
        return c + "_"
    return "_" + c if c[0].isdigit() else c


def tail(name):
    """As ident, but after a prefix: digits and keywords are fine there. Of an HMP command 'print|p': its first name."""
    return re.sub(r"[^A-Za-z0-9]", "_", name.split("|")[0])


def has(name):
    """The flag that an optional member is present."""
    return "has_" + (ident(name) if name[:1].isdigit() else tail(name))


def camel(name):
    return "".join(p[:1].upper() + p[1:] for p in re.split(r"[^A-Za-z0-9]+", name.split("|")[0]))


def upper(name):
    """Type name to the prefix of its constants: 'RunState' -> RUN_STATE."""
    s = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    s = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", s)
    return re.sub(r"[^A-Za-z0-9]", "_", s).upper()


def const(enum, value):
    return f"{enum.prefix}_{tail(value).upper()}"


def list_name(element):
    if element.module is not None:
        return element.name + "List"
    return camel("ref" if element.kind == "REF" else element.name) + "List"


def base_type(t):
    """C type of a value of t, as member or element; without array bounds."""
    if t.kind == "LIST":
        return list_name(t.element)
    if t.kind == "REF":
        return "void *"
    if t.kind == "BUFFER":
        return f"struct {{ uint32_t len; uint8_t data[{t.len}]; }}"
    if t.kind == "TIMER":
        return "int64_t"
    if t.kind == "RAMBLOCK":
        return "void *"
    if t.kind == "ARRAY":
        return base_type(t.element)
    if t.module is None:
        return t.ctype
    return t.name + " *" if t.is_pointer() else t.name


def bounds(t):
    return f"[{t.len}]" + bounds(t.element) if t.kind == "ARRAY" else ""


def decl(t, name):
    b = base_type(t)
    return f"{b}{'' if b.endswith('*') else ' '}{name}{bounds(t)}"


def value_size(t):
    """sizeof of the C value of a type (struct kinds: of the struct itself)."""
    if t.module is not None:
        return f"sizeof({t.name})"
    return f"sizeof({base_type(t)}{bounds(t)})"


def anon(t):
    """Symbol of an anonymous type's table, static in the file that uses it."""
    return "anon_" + re.sub(r"[^A-Za-z0-9]", "_", t.name.replace("[", "arr_").replace("<", "_of_"))


def type_symbol(t):
    if t.module is not None or t.kind in ("BOOL", "INT", "NUMBER", "STR", "ANY", "NULL"):
        return "qtype_" + tail(t.name)
    return anon(t)


def string(s):
    if s is None:
        return "NULL"
    out = s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("??", "?\\?")
    return f'"{out}"'


def integer(v):
    if v < -(1 << 63) + 1:
        return "INT64_MIN"
    return f"INT64_C({v})" if v < 1 << 63 else f"UINT64_C({v})"
