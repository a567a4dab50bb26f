"""Errors in a schema: where, which item, what is wrong, what would be right."""
import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Loc:
    file: str
    line: int

    def __str__(self):
        return f"{self.file}:{self.line}"


class SchemaError(Exception):
    def __init__(self, loc, text):
        super().__init__(f"{loc}: {text}")
        self.loc = loc
        self.text = text


def suggest(word, known):
    """The tail of a message: the nearest known spelling, or all of them when they are few."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, 1, 0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    if known and len(known) <= 12:
        return "; known: " + ", ".join(f"'{k}'" for k in known)
    return ""
