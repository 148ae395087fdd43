# ruff: noqa: SIM905 (a line of names reads better than a line of quotes)
"""The invented people: their names, phones and addresses, and which businesses they go to.

No name here is of anybody. Phones are of ranges that regulators keep free for fiction where there
are such ranges; Chinese ones are of blocks that end in 0000.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

_FAMILY = (
    "王Wang 李Li 张Zhang 刘Liu 陈Chen 杨Yang 黄Huang 赵Zhao 吴Wu 周Zhou 徐Xu 孙Sun 马Ma 朱Zhu "
    "胡Hu 郭Guo 何He 林Lin 高Gao 罗Luo 郑Zheng 梁Liang 谢Xie 宋Song 唐Tang 许Xu 邓Deng 冯Feng"
).split()
_GIVEN = (
    "伟Wei 芳Fang 娜Na 敏Min 静Jing 磊Lei 洋Yang 艳Yan 勇Yong 军Jun 杰Jie 涛Tao 超Chao 明Ming "
    "霞Xia 秀英Xiuying 丽华Lihua 建国Jianguo 志强Zhiqiang 晓东Xiaodong 雨桐Yutong 梓涵Zihan "
    "欣怡Xinyi 子轩Zixuan 思远Siyuan 佳琪Jiaqi 浩然Haoran 诗涵Shihan 俊杰Junjie 婉清Wanqing "
    "文博Wenbo 海燕Haiyan 国栋Guodong 雪梅Xuemei 嘉怡Jiayi 天宇Tianyu 若曦Ruoxi 一鸣Yiming"
).split()
_LATIN_GIVEN = (
    "Emma Oliver Sofia Lucas Hannah Mateo Chloe Noah Ingrid Pierre Giulia Tomas Aisha Daniel "
    "Freya Marco Elena James Yuki Anders"
).split()
_LATIN_FAMILY = (
    "Bennett Moreau Keller Rossi Novak Lindqvist Okafor Tanaka Fischer Dubois Hughes Silva "
    "Marino Jansen Cooper Petrov Walsh Ferrari Berg Ito"
).split()
_CHINESE_BLOCKS = ("138", "139", "136", "158", "159", "186", "188", "133", "155", "177")
# How many people go where: s(hop), h(otel), t(able).
_HABITS = {"s": 50, "h": 25, "t": 35, "st": 30, "ht": 25, "sh": 15, "sht": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone of the world. `knows`: which of phone and email each business has of them."""

    number: int
    given: str
    family: str
    phone: str
    email: str
    birthday: date
    goes_to: str
    knows: dict[str, frozenset[str]]

    def phone_at(self, place: str) -> str | None:
        """The phone, if that business (s, h or t) has it."""
        return self.phone if "phone" in self.knows[place] else None

    def email_at(self, place: str) -> str | None:
        """The email, if that business (s, h or t) has it."""
        return self.email if "email" in self.knows[place] else None


# The README's tour follows her: she stays at the hotel, which writes her name in Latin letters,
# and dines at the restaurant, which writes it in Chinese.
LI_JINGYI = Person(
    number=900,
    given="静怡",
    family="李",
    phone="+8613800006688",
    email="li.jingyi@example.com",
    birthday=date(1990, 5, 17),
    goes_to="ht",
    knows={place: frozenset({"phone", "email"}) for place in "sht"},
)


def people(random: Random) -> list[Person]:
    """Invent two hundred people, two thirds of them with Chinese names."""
    habits = [habit for habit, count in _HABITS.items() for _ in range(count)]
    random.shuffle(habits)
    return [_person(random, number, habit) for number, habit in enumerate(habits)]


def _person(random: Random, number: int, goes_to: str) -> Person:
    if random.random() < 0.66:
        family, given = random.choice(_FAMILY), random.choice(_GIVEN)
        spelled = f"{given.lstrip(_han(given))}.{family[1:]}"
        family, given = family[0], _han(given)
        phone = f"+86{random.choice(_CHINESE_BLOCKS)}0000{1000 + number * 7 % 9000:04d}"
    else:
        family, given = random.choice(_LATIN_FAMILY), random.choice(_LATIN_GIVEN)
        spelled = f"{given}.{family}"
        phone = _fictional(random, number)
    return Person(
        number=number,
        given=given,
        family=family,
        phone=phone,
        email=f"{spelled.lower()}{number}@example.com",
        birthday=date(1958, 1, 1) + timedelta(days=random.randrange(17_000)),
        goes_to=goes_to,
        knows={place: _known(random) for place in "sht"},
    )


def _han(spelled: str) -> str:
    return "".join(character for character in spelled if not character.isascii())


def _fictional(random: Random, number: int) -> str:
    area = 415 if number < 100 else 212
    return random.choice(
        (
            f"+442079460{number:03d}",
            f"+61491570{number:03d}",
            f"+1{area}555{100 + number % 100:04d}",
        )
    )


def _known(random: Random) -> frozenset[str]:
    """Most give their phone, many their email too, a few only that."""
    roll = random.random()
    if roll < 0.5:
        return frozenset({"phone", "email"})
    return frozenset({"phone"}) if roll < 0.85 else frozenset({"email"})
