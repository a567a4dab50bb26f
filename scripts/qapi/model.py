"""What a schema consists of, after loading: types, members, classes, commands and so on."""
from dataclasses import dataclass, field

from errors import Loc


class Type:
    name = ""
    kind = ""            # suffix of QK_
    embedded = False     # struct kinds: lies in its parent (state)
    module = None        # None: builtin or anonymous

    def is_pointer(self):
        return False


class Builtin(Type):
    def __init__(self, name, kind, ctype, doc, lo=None, hi=None, width=0):
        self.name, self.kind, self.ctype, self.doc = name, kind, ctype, doc
        self.lo, self.hi, self.width = lo, hi, width

    def is_pointer(self):
        return self.kind in ("STR", "ANY")


def _int(name, width, signed, doc):
    lo, hi = (-(1 << (8 * width - 1)), (1 << (8 * width - 1)) - 1) if signed else (0, (1 << 8 * width) - 1)
    ctype = f"{'' if signed else 'u'}int{8 * width}_t"
    return Builtin(name, "INT", ctype, doc, lo, hi, width)


BUILTINS = {t.name: t for t in [
    Builtin("bool", "BOOL", "bool", "true or false"),
    _int("int", 8, True, "signed 64-bit integer"),
    *[_int(f"{'' if s else 'u'}int{w}", w // 8, s, f"{'' if s else 'un'}signed {w}-bit integer")
      for s in (True, False) for w in (8, 16, 32, 64)],
    _int("size", 8, False, "number of bytes; the command line takes suffixes k, M, G, T, P and E"),
    Builtin("number", "NUMBER", "double", "floating-point number"),
    Builtin("str", "STR", "char *", "text in UTF-8"),
    Builtin("any", "ANY", "struct json_object *", "any JSON value"),
    Builtin("null", "NULL", "uint8_t", "JSON null"),
]}
CLOCKS = ("realtime", "virtual", "host", "virtual-rt")


@dataclass(eq=False)
class Item:
    """What is told about everything a user can see."""
    name: str
    loc: Loc
    doc: str = ""
    since: str = "10.0"
    stability: str = ""
    instead: str = None
    features: list = field(default_factory=list)


@dataclass(eq=False)
class Member(Item):
    type: Type = None
    required: bool = True
    min: object = None
    max: object = None
    unit: str = None
    default: tuple = None        # ("const", value) or ("expr", text, parsed)
    alias: str = None
    settable: bool = False
    inherited: bool = False
    reset: str = "VALUE"
    reset_value: object = 0
    reset_from: str = None
    state_since: int = 1
    present_if: tuple = None     # (text, parsed)

    def has_flag(self):
        return not self.required and self.default is None and not self.type.is_pointer()


class Named(Type):
    """A type with a name, a module and a table of its own."""

    def __init__(self, item, module):
        self.item, self.module, self.name = item, module, item.name
        self.made_for = None         # the item whose 'data' or section it is; others cannot name it


class Enum(Named):
    kind = "ENUM"

    def __init__(self, item, module, values, prefix):
        super().__init__(item, module)
        self.values, self.prefix = values, prefix    # values: [Item]


class Struct(Named):
    kind = "STRUCT"

    def __init__(self, item, module, state=False):
        super().__init__(item, module)
        self.members = []
        self.embedded = state        # a state-struct lies by value where it is used
        self.tag = None              # union: name of the discriminator
        self.branches = []           # union: [(enum value, Struct or None)]
        self.rest = None             # (Member that names a class, kind of class): other keys are its config
        self.same_as = None          # name of an equal C struct: only a typedef is made
        self.parent_conf = None      # conf: Struct of the parent class, a prefix of this

    def is_pointer(self):
        return not self.embedded

    def member(self, name):
        return next((m for m in self.members if m.name == name), None)


class Union(Struct):
    kind = "UNION"


class Alternate(Named):
    kind = "ALTERNATE"

    def __init__(self, item, module):
        super().__init__(item, module)
        self.branches = []           # [Member]

    def is_pointer(self):
        return True


class List(Type):
    kind = "LIST"

    def __init__(self, element):
        self.element, self.name = element, f"[{element.name}]"


class Ref(Type):
    kind = "REF"

    def __init__(self, cls):
        self.cls, self.name = cls, f"ref<{cls}>"

    def is_pointer(self):
        return True


class Array(Type):
    kind = "ARRAY"

    def __init__(self, element, length):
        self.element, self.len = element, length
        self.name = f"{element.name}[{length}]" if element.kind != "ARRAY" else \
            element.name.replace("[", f"[{length}][", 1)


class Buffer(Type):
    kind = "BUFFER"

    def __init__(self, length):
        self.len, self.name = length, f"buffer<{length}>"


class Timer(Type):
    kind = "TIMER"

    def __init__(self, clock):
        self.clock, self.name = clock, f"timer<{clock}>"


class RamBlock(Type):
    kind, name = "RAMBLOCK", "ramblock"


@dataclass(eq=False)
class Command(Item):
    module: str = None
    args: Struct = None
    ret: Type = None
    phases: list = None
    allow_oob: bool = False
    coroutine: bool = False
    no_reply: bool = False
    hmp_name: str = None
    hmp_args: str = None
    hmp_print: str = None
    example: object = None


@dataclass(eq=False)
class Event(Item):
    module: str = None
    args: Struct = None
    rate_limit_ns: int = 0


@dataclass(eq=False)
class Option(Item):
    module: str = None
    args: Struct = None
    group: str = None
    args_text: str = None
    implied_key: str = None
    example: str = None
    repeatable: bool = False
    takes_id: bool = False
    sugar: str = None
    phase: str = None
    config_group: str = None     # its name in config files, when that is another


@dataclass(eq=False)
class Hmp(Item):
    module: str = None
    args: Struct = None
    hmp_args: str = None
    phases: list = None


@dataclass(eq=False)
class Class(Item):
    module: str = None
    c_name: str = ""             # CamelCase stem of its structs
    parent: "Class" = None
    kind: str = None
    abstract: bool = False
    is_interface: bool = False
    user_creatable: bool = False
    hotpluggable: bool = False
    interfaces: list = field(default_factory=list)
    category: str = None
    bus: str = None
    alias: str = None
    conf: Struct = None
    control: Struct = None
    info: Struct = None
    state: Struct = None
    state_version: int = 0
    state_min_version: int = 0
    compat: list = field(default_factory=list)    # [(class, property, value, Loc)]
    ops: "Class" = None                           # whose ObjectOps; None: no behaviour
    ops_name: str = None                          # when ops is this class: its symbol without _ops

    def chain(self):
        c = self
        while c:
            yield c
            c = c.parent

    def prop(self, name):
        """The config or control member that a user sets by this name."""
        found = self.conf.member(name) if self.conf else None
        for c in self.chain():
            if not found and c.control:
                found = c.control.member(name)
        return found


class Schema:
    """Everything loaded: items by kind and name, modules in dependency order."""

    def __init__(self):
        self.types, self.classes, self.commands, self.events, self.options, self.hmp = {}, {}, {}, {}, {}, {}
        self.compat_sets = {}
        self.modules = []            # paths, included ones before those that include them
        self.includes = {}           # path -> [paths]
        self.sees = {}               # path -> set of paths, itself and all it includes
