"""Names and places that made-up people are made of: common ones, and a long tail put together."""

import numpy as np


def _listed(text: str) -> list[str]:
    return text.split()


_MEN = _listed("""
James John Robert Michael William David Richard Joseph Thomas Charles Daniel Matthew
Anthony Mark Donald Steven Paul Andrew Joshua Kenneth Kevin Brian George Timothy Ronald
Edward Jason Jeffrey Ryan Jacob Gary Nicholas Eric Jonathan Stephen Larry Justin Scott
Brandon Benjamin Samuel Gregory Alexander Frank Patrick Raymond Jack Dennis Jerry Tyler
Aaron Jose Adam Nathan Henry Douglas Zachary Peter Kyle Noah Ethan Jeremy Walter
Christian Keith Roger Terry Austin Sean Gerald Carl Harold Dylan Arthur Lawrence Jordan
Jesse Bryan Billy Bruce Gabriel Joe Logan Alan Juan Albert Willie Elijah Wayne Randy
Vincent Mason Roy Ralph Bobby Russell Bradley Philip Eugene Lukas Felix Jonas Moritz
Stefan Andreas Wolfgang Jan Piotr Pavel Luca Marco Giovanni Pierre Luc Antoine Diego
Carlos Miguel Sven Lars Erik Nils Oskar Hugo Ivan Dmitri Omar Ahmed Yusuf Ravi Arjun
Kenji Hiro
""")
_WOMEN = _listed("""
Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Lisa Nancy
Betty Margaret Sandra Ashley Kimberly Emily Donna Michelle Carol Amanda Dorothy Melissa
Deborah Stephanie Rebecca Sharon Laura Cynthia Kathleen Amy Angela Shirley Anna Brenda
Pamela Emma Nicole Helen Samantha Katherine Christine Debra Rachel Carolyn Janet
Catherine Maria Heather Diane Ruth Julie Olivia Joyce Virginia Victoria Kelly Lauren
Christina Joan Evelyn Judith Megan Andrea Cheryl Hannah Jacqueline Martha Gloria Teresa
Ann Sara Madison Frances Kathryn Janice Jean Abigail Alice Judy Sophia Grace Denise
Amber Doris Marilyn Danielle Beverly Isabella Theresa Diana Natalie Brittany Charlotte
Marie Kayla Alexis Lori Claudia Sabine Ingrid Katja Heike Agnieszka Zofia Giulia Chiara
Camille Manon Lucia Carmen Elena Astrid Freya Ida Olga Irina Fatima Aisha Priya Ananya
Yuki Sakura
""")
_SURNAMES = _listed("""
Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez
Lopez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris
Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen
Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez
Phillips Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales
Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos
Kim Cox Ward Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz Hughes
Price Alvarez Castillo Sanders Patel Myers Long Ross Foster Jimenez Mueller Schmidt
Schneider Fischer Weber Meyer Wagner Becker Hoffmann Koch Bauer Richter Klein Wolf
Neumann Kowalski Nowak Novak Rossi Russo Ferrari Bianchi Bernard Dubois Moreau Laurent
Andersson Johansson Hansen Olsen Larsen Jensen Nielsen Petrov Ivanov Khan Hussain Singh
Sharma Tanaka Suzuki
""")
_HEADS = _listed("""
Ash Black Brad Bran Carl Chat Clay Cran Dal Den East El Fair Farn Gar Glen Green Hal Ham
Hart Hath Hay Hol Hun Kel Kings Lang Lind Long Mar Mel Mid Mill Nor Oak Old Pres Rad Ray
Rock Row Shel Sher Stan Stein Stock Sut Thorn Up Wal War Wat West Whit Wood Wy
""")
_TAILS = _listed("""
berg bourne bridge bury by dale den don er field ford gate ham hurst ington land ley low
man mann mere more ner ridge sen shaw son stead stein stock ston ton twell ville wall
way well wick worth
""")
_WAYS = _listed("Street Road Avenue Drive Lane Court Place Way Close Crescent")
_HAN_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢"
    "姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常"
)
_HAN_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国文辉建梅红波斌鹏飞宇浩轩子涵梓晨欣怡佳琪思雨"
    "诗婷雪倩晓燕春花志鑫海龙少东俊凯嘉颖玲慧洁莉萍云峰林森成安康宁瑞祥福永德仁义信忠孝恩泽润泉源清河山川"
)


def _words(common: list[str], tail: list[str], draw: np.random.Generator) -> list[str]:
    known = set(common)
    rare = [word for word in tail if word not in known]
    draw.shuffle(rare)
    return common + rare


def western(draw: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """Given names of men, of women, and surnames, the commonest first."""
    surnames = [head + tail for head in _HEADS for tail in _TAILS]
    starts = "Al An Be Bri Ca Co Da De El Fe Ge Ha Il Jo Ka Le Lo Ma Mi Na Ni Or Pa Ro Sa Te Vi Za"
    men = [a + b for a in _listed(starts) for b in ("dan", "ric", "von", "mar", "lo", "rin", "vis")]
    women = [a + b for a in _listed(starts) for b in ("lia", "na", "rine", "ssa", "belle", "ra")]
    return (
        _words(_MEN, men, draw),
        _words(_WOMEN, women, draw),
        _words(_SURNAMES, surnames, draw),
    )


def chinese(draw: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """The same in characters: given names of one character or two."""
    one = list(_HAN_GIVEN)
    two = [a + b for a in one for b in one if a != b]
    draw.shuffle(two)
    both = two[:25]
    both += one
    both += two[25:9000]
    return both, both, list(_HAN_SURNAMES)


def streets(draw: np.random.Generator, count: int) -> list[str]:
    """So many names of streets."""
    ways = draw.integers(0, len(_WAYS), count)
    heads, tails = draw.integers(0, len(_HEADS), count), draw.integers(0, len(_TAILS), count)
    return [
        f"{_HEADS[h]}{_TAILS[t]} {_WAYS[w]}" for h, t, w in zip(heads, tails, ways, strict=True)
    ]


def cities(draw: np.random.Generator, count: int) -> list[str]:
    """So many names of places, no two alike."""
    names = [head + tail for head in _TAILS for tail in ("port", "burg", "mouth", "chester")]
    names += [head + tail + "ville" for head in _HEADS for tail in _TAILS[:20]]
    draw.shuffle(names)
    return [name.capitalize() for name in names[:count]]


def zipf(draw: np.random.Generator, names: int, count: int, slope: float) -> np.ndarray:
    """Draw numbers of names, the first the commonest."""
    weights = 1 / (np.arange(names) + 3.0) ** slope
    return draw.choice(names, count, p=weights / weights.sum())
