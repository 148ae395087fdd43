"""Names and notes as banks can carry them. Pure.

The character set of ISO 20022 payments as the EPC's rules (EPC217-08) allow it everywhere: Latin
letters, digits, space and / - ? : ( ) . , ' +. A text neither begins nor ends with a slash, and has
no two in a row.
"""

import re
import unicodedata

_FOREIGN = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]+")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
                          "đ": "d", "Đ": "D", "&": "+", "（": "(", "）": ")", "，": ",",
                          "。": ".", "·": " ", "_": "-", "–": "-", "—": "-"})  # fmt: skip


def bank_text(words: str, *, longest: int) -> str:
    """Write `words` in the bank's characters: 上海 becomes Shang Hai; cut after `longest`.

    What cannot be written is left out; nothing at all is written as "NOTPROVIDED".
    """
    spoken = _HAN.sub(_spoken, words)
    plain = unicodedata.normalize("NFKD", spoken.translate(_LETTERS))
    plain = "".join(mark for mark in plain if not unicodedata.combining(mark))
    plain = re.sub(r"/{2,}", "/", _FOREIGN.sub(" ", plain))
    plain = re.sub(r"\s+", " ", plain)
    plain = re.sub(r" ([),.])|(\() ", lambda found: found[1] or found[2], plain)
    return plain[:longest].strip("/ ") or "NOTPROVIDED"


def _spoken(han: re.Match[str]) -> str:
    # Here: its dictionary takes longer to load than most commands run.
    from pypinyin import lazy_pinyin  # noqa: PLC0415

    return f" {' '.join(map(str.title, lazy_pinyin(han[0])))} "
