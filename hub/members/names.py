"""Names of people, in Chinese characters and in Latin letters, and when two cannot be one.

`contradicts` is a veto on linking, not a matcher: it speaks up unless some reading lets both be
names of one person. When it is wrong, a person reviews; when a link is wrong, points are lost.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from opencc import OpenCC

# Surnames that are read otherwise than the character usually is. (现代汉语词典, surname readings)
_SURNAMES = {
    "万俟": "moqi", "乐": "yue le", "仇": "qiu", "任": "ren", "冼": "xian", "区": "ou",
    "华": "hua", "单": "shan", "单于": "chanyu", "召": "shao", "员": "yun", "夏侯": "xiahou",
    "宓": "fu mi", "尉": "wei", "尉迟": "yuchi", "应": "ying", "折": "she", "晁": "chao",
    "曾": "zeng", "朴": "piao pu", "查": "zha", "欧阳": "ouyang", "洗": "xian", "澹台": "tantai",
    "盖": "ge gai", "秘": "bi", "种": "chong", "繁": "po", "纪": "ji", "缪": "miao",
    "翟": "zhai di", "葛": "ge", "覃": "qin tan", "解": "xie", "那": "na", "长孙": "zhangsun",
    "黑": "he hei",
}  # fmt: skip
_COMPOUND = {
    "万俟", "上官", "东方", "令狐", "公孙", "公羊", "单于", "南宫", "司徒", "司空", "司马", "呼延",
    "夏侯", "太叔", "宇文", "尉迟", "慕容", "欧阳", "澹台", "濮阳", "独孤", "申屠", "皇甫", "端木",
    "诸葛", "赫连", "轩辕", "钟离", "长孙", "闻人",
}  # fmt: skip
# The hundred that 85 of 100 people in China have, as they are spelt. (公安部, names of 2020)
_COMMON_SURNAMES = {
    "bai", "cai", "cao", "chang", "chen", "cheng", "cui", "deng", "ding", "dong", "du", "duan",
    "fan", "fang", "feng", "fu", "gao", "ge", "gong", "gu", "guo", "han", "hao", "he", "hou", "hu",
    "huang", "jia", "jiang", "kong", "lai", "lei", "li", "liang", "liao", "lin", "liu", "lu", "luo",
    "ma", "mao", "meng", "pan", "peng", "qin", "qiu", "ren", "shen", "shi", "song", "su", "sun",
    "tan", "tang", "tian", "wan", "wang", "wei", "wen", "wu", "xia", "xiao", "xie", "xiong", "xu",
    "xue", "yan", "yang", "yao", "ye", "yin", "yu", "yuan", "zeng", "zhang", "zhao", "zheng",
    "zhong", "zhou", "zhu", "zou",
}  # fmt: skip
_TITLES = re.compile(r"(先生|女士|小姐|太太|老师|总|经理|同学)$")
_LATIN_TITLES = {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam"}
_PLACEHOLDERS = {
    "", "anonymous", "cash customer", "customer", "guest", "n/a", "na", "no name", "none", "null",
    "test", "unknown", "walk in", "walk-in", "walkin", "匿名", "客人", "微信用户", "散客", "无",
    "无名", "未知", "游客", "用户", "顾客", "默认客户",
}  # fmt: skip
_SYLLABLES = re.compile(
    r"(?:(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(?:iang|iong|uang|ang|eng|ong|iao|ian|ing|uai|uan"
    r"|ai|ei|ao|ou|an|en|er|ia|ie|iu|in|ua|uo|ui|un|ve|ue|a|o|e|i|u|v))+"
)


class Name(NamedTuple):
    """A name taken apart: simplified Chinese characters, and words in plain lower-case letters."""

    han: str
    words: tuple[str, ...]


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def display_form(text: str) -> str | None:
    """Return a name as it is shown, NFKC and with single blanks; None for a placeholder."""
    shown = " ".join(unicodedata.normalize("NFKC", text).split())
    return None if shown.casefold() in _PLACEHOLDERS else shown


@lru_cache(maxsize=4096)
def parse(text: str) -> Name:
    """Take a name apart: traditional characters simplified, titles and accents dropped."""
    shown = display_form(text) or ""
    han = "".join(re.findall(r"[㐀-鿿〇*＊某]", shown)) if _has_han(shown) else ""
    han = _TITLES.sub("*", _simplifier().convert(han.replace("＊", "*").replace("某", "*")))
    letters = shown.casefold().replace("ü", "v").replace("ß", "ss")
    plain = "".join(
        c for c in unicodedata.normalize("NFD", letters) if not unicodedata.combining(c)
    )
    words = tuple(
        word.replace("'", "") for word in re.findall(r"[^\W\d_㐀-鿿〇]+(?:'[^\W\d_㐀-鿿]+)*", plain)
    )
    return Name(han, tuple(word for word in words if word not in _LATIN_TITLES))


def contradicts(one: str, other: str) -> bool:
    """Say whether no reading lets the two be names of the same person.

    - Characters against characters: equal after simplification, equal in sound (王玮, 王伟: heard
      over a counter), or masked and fitting (李*, 李先生).
    - Letters against letters: the words of one are among the other's in any order, initials
      standing for words; or the same letters without blanks (LiLei).
    - Characters against letters: the letters spell the characters in pinyin, surname first or
      last, with the readings surnames have (单 Shan). Letters that are no pinyin at all (Lucy Li)
      say nothing about characters.
    - A missing name contradicts nothing.
    """
    a, b = parse(one), parse(other)
    if a.han and b.han:
        return not _same_characters(a.han, b.han)
    if a.words and b.words:
        return not _same_words(a.words, b.words)
    if a.han and b.words:
        return not _may_spell(a.han, b.words)
    if b.han and a.words:
        return not _may_spell(b.han, a.words)
    return False


def _has_han(text: str) -> bool:
    return re.search(r"[㐀-鿿〇]", text) is not None


def _same_characters(a: str, b: str) -> bool:
    if "*" in a or "*" in b:
        return _fits_mask(a, b) if "*" in a else _fits_mask(b, a)
    if a == b:
        return True
    return len(a) == len(b) and all(x & y for x, y in zip(_readings(a), _readings(b), strict=True))


def _fits_mask(mask: str, name: str) -> bool:
    """Masks come without a promise on how many characters a star stands for."""
    pattern = ".*".join(re.escape(part) for part in re.split(r"\*+", mask))
    return re.fullmatch(pattern, name) is not None or name.replace("*", "") in mask


def _same_words(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if _joined_alike(a, b) or _joined_alike(b, a):
        return True
    short, long = sorted((a, b), key=len)
    left = list(long)
    for word in sorted(short, key=len, reverse=True):
        fit = next((other for other in left if _same_word(word, other)), None)
        if fit is None:
            return False
        left.remove(fit)
    return True


def _joined_alike(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether `a` run together is `b` run together, whichever of b's words comes first."""
    return any("".join(b[i:] + b[:i]) == "".join(a) for i in range(len(b)))


def _same_word(a: str, b: str) -> bool:
    return a == b or (1 in (len(a), len(b)) and a[0] == b[0])


def _may_spell(han: str, words: tuple[str, ...]) -> bool:
    if not all(len(word) == 1 or _SYLLABLES.fullmatch(word) for word in words):
        return True
    characters = han.replace("*", "")
    readings = list(_readings(characters))
    if any(len(word) == 1 for word in words):
        readings = [sounds | {sound[0] for sound in sounds} for sounds in readings]
    surname = _surname_length(characters)
    text = "".join(words)
    if "*" in han:
        return (
            any(text.startswith(s) or text.endswith(s) for s in readings[0]) if readings else True
        )
    return any(
        _spells(order, text) for order in (readings, readings[surname:] + readings[:surname])
    )


def _spells(readings: list[set[str]], text: str) -> bool:
    """Whether `text` is one reading of each character after another, with nothing left over."""
    if not readings:
        return text == ""
    return any(
        text.startswith(sound) and _spells(readings[1:], text[len(sound) :])
        for sound in readings[0]
    )


def _surname_length(han: str) -> int:
    return 2 if han[:2] in _COMPOUND and len(han) > 2 else 1


def _readings(han: str) -> Iterator[set[str]]:
    """Yield for each character all its readings; surnames have their own before the common ones."""
    length = _surname_length(han)
    surname = _SURNAMES.get(han[:length])
    if surname is not None and length == 1:
        yield set(_spellings(surname.split()))
        han = han[1:]
    elif surname is not None:
        # A compound surname is one unit: its reading on the first character, nothing on the second.
        yield {surname}
        yield {""}
        han = han[2:]
    if han:
        # Here: its dictionaries take longer to load than most commands run.
        from pypinyin import Style, pinyin  # noqa: PLC0415

        for sounds in pinyin(list(han), style=Style.NORMAL, heteronym=True, v_to_u=False):
            yield set(_spellings(sounds))


def _spellings(sounds: Iterable[str]) -> Iterator[str]:
    """吕 is written lü in books, LYU in passports since 2011, LV by keyboards, LU by everyone."""
    for sound in sounds:
        yield sound
        if "v" in sound:
            yield sound.replace("v", "yu")
            yield sound.replace("v", "u")


def surname(text: str) -> str | None:
    """Return the surname of a name in Chinese characters, as written; None for other names."""
    han = re.match(r"[㐀-鿿〇]+", display_form(text) or "")
    if han is None:
        return None
    return text.strip()[: _surname_length(_simplifier().convert(han[0]))]


def spelling(han: str) -> str:
    """Return one spelling of characters in pinyin, without blanks: the same for the same sounds."""
    characters = han.replace("*", "")
    return "".join(min(sounds, key=_plainest) for sounds in _readings(characters))


def _plainest(sound: str) -> tuple[bool, str]:
    return "v" in sound, sound


def all_pinyin(words: Iterable[str]) -> bool:
    """Say whether each of the words is made of pinyin syllables."""
    return all(_SYLLABLES.fullmatch(word) for word in words)


def is_pinyin_surname(word: str) -> bool:
    """Say whether a word is one of the surnames that most Chinese people have."""
    return word in _COMMON_SURNAMES
