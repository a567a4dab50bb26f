"""The expression language of defaults and present-if: parsed, checked, and written as C.

    a ? b : c   || &&   == != < <= > >=   | ^ &   << >>   + - * / %   ! ~ -   ( )
    integers, member names (dashes written as '_'), has(name), [1, 2, 3][i], "value" beside an enum

Arithmetic is signed 64-bit and wraps; x / 0 and x % 0 are 0; shifts are modulo 64. An index into a list must be
provably within it: see bounds().
"""
import re

from cnames import const, has, ident, integer
from errors import SchemaError, suggest

TOKEN = re.compile(r"\s*(?:(0[xX][0-9a-fA-F]+|[0-9]+)|([A-Za-z_][\w.]*)|(\"[^\"]*\")|"
                   r"(\|\||&&|==|!=|<=|>=|<<|>>|[-+*/%&|^~!<>?:()\[\],]))")
LEVELS = [["||"], ["&&"], ["==", "!=", "<", "<=", ">", ">="], ["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"],
          ["*", "/", "%"]]
BOOLEAN = {"||", "&&", "==", "!=", "<", "<=", ">", ">="}
CALLS = {"/": "qexpr_div", "%": "qexpr_mod", "<<": "qexpr_shl", ">>": "qexpr_shr"}
ANY = (-(1 << 63), (1 << 63) - 1)


class Parser:
    def __init__(self, text, loc, what):
        self.loc, self.what, self.text, self.pos, self.tokens, self.depth = loc, what, text, 0, [], 0
        at = 0
        while text[at:].strip():
            m = TOKEN.match(text, at)
            if not m:
                self.error(f"stray {text[at:].strip()[0]!r}")
            self.tokens.append(m.group().strip())
            at = m.end()
        if len(self.tokens) > 400:
            self.error("longer than 400 tokens")
        self.tokens.append("")

    def error(self, text):
        raise SchemaError(self.loc, f"{self.what}: expression '{self.text}': {text}")

    def peek(self):
        return self.tokens[self.pos]

    def take(self, token):
        if self.peek() != token:
            self.error(f"expected '{token}', not {repr(self.peek()) if self.peek() else 'its end'}")
        self.pos += 1

    def whole(self):
        node = self.ternary()
        if self.peek():
            self.error(f"unexpected '{self.peek()}'")
        return node

    def ternary(self):
        self.depth += 1
        if self.depth > 24:
            self.error("nested too deep")
        node = self.binary(0)
        if self.peek() == "?":
            self.take("?")
            yes = self.ternary()
            self.take(":")
            node = ("?", node, yes, self.ternary())
        self.depth -= 1
        return node

    def binary(self, level):
        if level == len(LEVELS):
            return self.unary()
        node = self.binary(level + 1)
        while self.peek() in LEVELS[level]:
            op = self.peek()
            self.take(op)
            node = (op, node, self.binary(level + 1))
        return node

    def unary(self):
        ops = []
        while self.peek() in ("!", "~", "-"):
            ops.append(self.peek())
            self.take(self.peek())
        node = self.primary()
        for op in reversed(ops):
            node = ("u" + op, node)
        return node

    def primary(self):
        token = self.peek()
        if token == "(":
            self.take("(")
            node = self.ternary()
            self.take(")")
            return node
        if token == "[":
            return self.table()
        if re.match(r"[0-9]", token):
            self.pos += 1
            value = int(token, 0) if token[:2].lower() == "0x" else int(token)
            if value > ANY[1]:
                self.error(f"{token} does not fit in a signed 64-bit integer")
            return ("int", value)
        if token.startswith('"'):
            self.pos += 1
            return ("str", token[1:-1])
        if re.match(r"[A-Za-z_]", token):
            self.pos += 1
            if token in ("true", "false"):
                return ("int", int(token == "true"))
            if token == "has" and self.peek() == "(":
                self.take("(")
                name = self.peek()
                self.pos += 1
                self.take(")")
                return ("has", name)
            return ("name", token)
        return self.error(f"expected a value, not {repr(token) if token else 'its end'}")

    def table(self):
        self.take("[")
        values = []
        while self.peek() != "]":
            sign = -1 if self.peek() == "-" else 1
            if sign < 0:
                self.take("-")
            node = self.primary()
            if node[0] != "int":
                self.error("a list holds integer constants only")
            values.append(sign * node[1])
            if self.peek() != "]":
                self.take(",")
        self.take("]")
        if not values:
            self.error("the list is empty")
        self.take("[")
        index = self.ternary()
        self.take("]")
        return ("at", tuple(values), index)


class Scope:
    """Names an expression may use: 'x' or 'conf.x' -> (Member, C pointer)."""

    def __init__(self):
        self.names = {}
        self.later = set()

    def add(self, members, pointer, prefix=""):
        for m in members:
            self.names[prefix + ident(m.name)] = (m, pointer)


class Checked:
    """An expression checked against a scope; `result` is the Enum it must yield, or None for an integer."""

    def __init__(self, text, scope, loc, what, result=None):
        self.text, self.scope, self.loc, self.what, self.enum = text, scope, loc, what, result
        self.used = set()
        parser = Parser(text, loc, what)
        self.error = parser.error
        self.c = self.emit(parser.whole(), result)

    def member(self, name):
        if name not in self.scope.names:
            if name in self.scope.later:
                self.error(f"'{name}' stands after it; a default may use members before its own only")
            self.error(f"unknown name '{name}'" + suggest(name, self.scope.names))
        return self.scope.names[name]

    def enum_of(self, node):
        """The Enum a node yields by itself, or None."""
        if node[0] == "name":
            t = self.member(node[1])[0].type
            return t if t.kind == "ENUM" else None
        if node[0] == "?":
            return self.enum_of(node[2]) or self.enum_of(node[3])
        return None

    def emit(self, node, enum=None):
        op = node[0]
        if op == "str":
            return self.constant(node[1], enum)
        if op == "?":
            return f"({self.emit(node[1])} ? {self.emit(node[2], enum)} : {self.emit(node[3], enum)})"
        if enum and op != "name":
            self.error(f"must yield a value of enum {enum.name}")
        if op == "int":
            return integer(node[1])
        if op == "name":
            return self.name(node[1], enum)
        if op == "has":
            return self.has(node[1])
        if op == "at":
            return self.at(node)
        if op in ("u!", "u~", "u-"):
            return f"(int64_t)({op[1]}{self.emit(node[1])})"
        if op in ("==", "!="):
            both = self.enum_of(node[1]) or self.enum_of(node[2])
            return f"({self.emit(node[1], both)} {op} {self.emit(node[2], both)})"
        left, right = self.emit(node[1]), self.emit(node[2])
        if op in CALLS:
            return f"{CALLS[op]}({left}, {right})"
        return f"({left} {op} {right})"

    def constant(self, value, enum):
        if enum is None:
            self.error(f'"{value}" must stand beside a member of an enum')
        if value not in [v.name for v in enum.values]:
            self.error(f"enum {enum.name} has no value '{value}'" + suggest(value, [v.name for v in enum.values]))
        return const(enum, value)

    def name(self, name, enum):
        m, pointer = self.member(name)
        self.used.add(name)
        if enum is not None and m.type is not enum:
            self.error(f"'{name}' is of type {m.type.name}, not of enum {enum.name}")
        if enum is None and m.type.kind == "ENUM":
            self.error(f"'{name}' is an enum; compare it with one of its values, as {name} == \"{m.type.values[0].name}\"")
        if m.type.kind not in ("BOOL", "INT", "ENUM", "TIMER"):
            self.error(f"'{name}' is of type {m.type.name}; only integers, bools, enums and timers can be used")
        access = f"{pointer}->{ident(m.name)}"
        return access if enum else f"(int64_t){access}"

    def has(self, name):
        m, pointer = self.member(name)
        if m.required or m.default is not None:
            self.error(f"'{name}' is never absent; has() is for optional members without default")
        return f"({pointer}->{has(m.name)})" if m.has_flag() else f"({pointer}->{ident(m.name)} != NULL)"

    def at(self, node):
        values, index = node[1], node[2]
        lo, hi = self.bounds(index)
        if lo < 0 or hi >= len(values):
            self.error(f"the list has {len(values)} items but its index may be {lo}..{hi}; give the member a 'max', or use '%'")
        table = ", ".join(integer(v) for v in values)
        return f"qexpr_at((const int64_t[]){{ {table} }}, {len(values)}, {self.emit(index)})"

    def bounds(self, node):
        """Least and greatest value of a node; ANY when not known."""
        op = node[0]
        if op == "int":
            return node[1], node[1]
        if op in BOOLEAN or op in ("has", "u!"):
            return 0, 1
        if op == "name":
            t, m = self.member(node[1])[0].type, self.member(node[1])[0]
            if t.kind == "BOOL":
                return 0, 1
            if t.kind == "INT" and (m.required or m.default is not None) and (t.hi if m.max is None else m.max) <= ANY[1]:
                return (t.lo if m.min is None else m.min), (t.hi if m.max is None else m.max)
            return ANY
        if op == "?":
            a, b = self.bounds(node[2]), self.bounds(node[3])
            return min(a[0], b[0]), max(a[1], b[1])
        if op == "at":
            return min(node[1]), max(node[1])
        if op in ("%", "&") and node[2][0] == "int" and node[2][1] > 0:
            if op == "&":
                return 0, node[2][1]
            if self.bounds(node[1])[0] >= 0:
                return 0, node[2][1] - 1
        if op in ("+", "-"):
            a, b = self.bounds(node[1]), self.bounds(node[2])
            lo, hi = (a[0] + b[0], a[1] + b[1]) if op == "+" else (a[0] - b[1], a[1] - b[0])
            return (lo, hi) if ANY[0] <= lo and hi <= ANY[1] else ANY
        return ANY
