"""How records are misspelt. Two ways that share nothing but the fields they spoil.

`typing` slips on a keyboard: letters doubled, lost, exchanged or next to the right one; nicknames,
fields left empty. `copying` reads a form badly: letters and digits that look or sound alike, ends
cut off, words lost, day and month exchanged, values that stand in another person's place.
"""

from collections.abc import Callable

import numpy as np

Column = np.ndarray
Told = dict[str, Column]

_NEAR = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok",
    "o": "ipl", "p": "o", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb",
    "h": "gyjn", "j": "hukm", "k": "jil", "l": "ko", "z": "asx", "x": "zsdc", "c": "xdfv",
    "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
}  # fmt: skip
_NICKNAMES = {
    "James": "Jim", "John": "Jack", "Robert": "Bob", "Michael": "Mike", "William": "Bill",
    "David": "Dave", "Richard": "Dick", "Joseph": "Joe", "Thomas": "Tom", "Charles": "Chuck",
    "Daniel": "Dan", "Matthew": "Matt", "Anthony": "Tony", "Steven": "Steve", "Andrew": "Andy",
    "Elizabeth": "Liz", "Patricia": "Pat", "Jennifer": "Jen", "Barbara": "Barb", "Susan": "Sue",
    "Margaret": "Peggy", "Katherine": "Kate", "Rebecca": "Becky", "Deborah": "Debbie",
    "Christine": "Chris", "Samantha": "Sam", "Benjamin": "Ben", "Samuel": "Sam", "Nicholas": "Nick",
}  # fmt: skip
_LOOKS = [
    ("rn", "m"), ("cl", "d"), ("vv", "w"), ("ll", "l"), ("ph", "f"), ("ck", "k"), ("ie", "y"),
    ("ei", "ie"), ("ae", "e"), ("s", "z"), ("c", "k"), ("i", "l"), ("u", "v"), ("n", "h"),
    ("1", "7"), ("0", "6"), ("5", "3"), ("8", "3"), ("4", "9"), ("2", "7"), ("6", "8"),
]  # fmt: skip
_SPOILT = ("given_name", "surname", "name", "street", "address", "city", "postcode", "number",
           "phone", "email", "document", "born")  # fmt: skip


def _apply(column: Column, share: float, change: Callable[[str], str | None],
           draw: np.random.Generator) -> None:  # fmt: skip
    for row in np.flatnonzero(draw.random(len(column)) < share).tolist():
        if column[row]:
            column[row] = change(column[row])


def _slip(draw: np.random.Generator) -> Callable[[str], str]:
    def change(text: str) -> str:
        at = int(draw.integers(len(text)))
        kind, sign = int(draw.integers(4)), text[at]
        if kind == 0:
            return text[:at] + text[at + 1 :]
        if kind == 1:
            return text[:at] + sign + text[at:]
        if kind == 2 and at + 1 < len(text):
            return text[:at] + text[at + 1] + sign + text[at + 2 :]
        if sign.isdigit():
            return text[:at] + str((int(sign) + int(draw.integers(1, 10))) % 10) + text[at + 1 :]
        near = _NEAR.get(sign.lower(), sign)
        return text[:at] + near[int(draw.integers(len(near)))] + text[at + 1 :]

    return change


def typing(told: Told, errors: float, draw: np.random.Generator) -> None:
    """Slips on a keyboard, a second one in some values that have one."""
    slip = _slip(draw)
    for one in _SPOILT:
        if one in told:
            share = errors * (0.4 if one in ("phone", "email", "document") else 1.0)
            _apply(told[one], share, slip, draw)
            _apply(told[one], share * 0.15, lambda text: slip(slip(text) or text), draw)
    _apply(told["given_name"], 0.04, lambda text: _NICKNAMES.get(text, text), draw)
    _apply(told["given_name"], errors * 0.15, lambda text: text[:1], draw)
    swapped = np.flatnonzero(draw.random(len(told["given_name"])) < errors * 0.15)
    given, surname = told["given_name"], told["surname"]
    given[swapped], surname[swapped] = surname[swapped].copy(), given[swapped].copy()


def copying(told: Told, errors: float, draw: np.random.Generator) -> None:
    """Forms read badly."""

    def look(text: str) -> str:
        start = int(draw.integers(len(_LOOKS)))
        for a, b in _LOOKS[start:] + _LOOKS[:start]:
            at = text.lower().find(a)
            if at >= 0:
                return text[:at] + b + text[at + len(a) :]
            at = text.lower().find(b)
            if at >= 0:
                return text[:at] + a + text[at + len(b) :]
        return text[:-1] or text

    def cut(text: str) -> str:
        return text[: max(3, len(text) - int(draw.integers(1, 5)))]

    def day(text: str) -> str:
        if len(text) != 10:
            return text
        year, month, number = text[:4], text[5:7], text[8:]
        kind = int(draw.integers(4))
        if kind == 0:
            return f"{year}-{number}-{month}"
        if kind == 1:
            return f"{int(year) + int(draw.choice([-10, -1, 1, 10]))}-{month}-{number}"
        if kind == 2:
            return f"{year}-01-01"
        return look(text)

    for one in _SPOILT:
        if one not in told:
            continue
        if one == "born":
            _apply(told[one], errors, day, draw)
            continue
        share = errors * (0.5 if one in ("phone", "email", "document") else 1.0)
        _apply(told[one], share * 0.8, look, draw)
        if one not in ("phone", "document", "postcode", "number"):
            _apply(told[one], share * 0.3, cut, draw)
    for one in ("given_name", "surname", "name", "street", "city"):
        if one in told:
            _apply(told[one], 0.15, str.upper, draw)
    _apply(told["given_name"], errors * 0.3, lambda text: text[:1] + ".", draw)
    _apply(told["given_name"], 0.08, lambda text: text + " " + "ABCDEJLMRS"[len(text) % 10], draw)
    if "name" in told:
        _apply(told["name"], 0.1, lambda text: ", ".join(reversed(text.split(" ", 1))), draw)
    if "phone" in told:
        _apply(told["phone"], 0.2, lambda text: text.replace("+44 ", "0").replace(" ", ""), draw)


def in_letters(told: Told, draw: np.random.Generator) -> None:
    """Chinese names whole: in characters, or some in letters, surname first or last."""
    from hub.members import names  # noqa: PLC0415

    spelt: dict[str, str] = {}

    def spell(text: str) -> str:
        if text not in spelt:
            spelt[text] = names.spelling(text).capitalize()
        return spelt[text]

    told["name"] = told["surname"] + told["given_name"]
    for row in np.flatnonzero(draw.random(len(told["name"])) < 0.15).tolist():
        surname, given = spell(told["surname"][row]), spell(told["given_name"][row])
        told["name"][row] = f"{given} {surname}" if row % 2 else f"{surname} {given}"


MODELS: dict[str, Callable[[Told, float, np.random.Generator], None]] = {
    "typing": typing,
    "copying": copying,
}
