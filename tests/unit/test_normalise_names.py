import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.members.names import contradicts, display_form

COMPATIBLE = [
    ("李雷", "李雷"),
    ("陳國華", "陈国华"),
    ("王伟", "王玮"),
    ("李先生", "李雷"),
    ("李*", "李雷"),
    ("**雷", "李雷"),
    ("李雷", "Li Lei"),
    ("李雷", "Lei Li"),
    ("李雷", "LILEI"),
    ("李雷", "LI, Lei"),
    ("李雷", "L. Li"),
    ("李雷", "Lucy Li"),
    ("李雷 (Lei Li)", "Lei Li"),
    ("单雄信", "Shan Xiongxin"),
    ("曾国藩", "Zeng Guofan"),
    ("仇英", "Ying Qiu"),
    ("欧阳修", "Xiu Ouyang"),
    ("尉迟恭", "Yuchi Gong"),
    ("吕布", "LYU BU"),
    ("吕布", "Lu Bu"),
    ("张三丰", "Zhang San Feng"),
    ("Bob Smith", "SMITH, Bob"),
    ("Mr Bob Smith", "Bob Smith"),
    ("B. Smith", "Bob Smith"),
    ("Bob", "Bob Smith"),
    ("Bob James Smith", "Bob Smith"),
    ("José García", "Jose Garcia"),
    ("O'Neil Pat", "ONeil Pat"),
    ("LiLei", "Li Lei"),
    ("Guest", "Bob Smith"),
    ("散客", "李雷"),
    ("", "李雷"),
]
CONTRADICTING = [
    ("李雷", "韩梅梅"),
    ("李雷", "李明"),
    ("王先生", "李雷"),
    ("王*", "李雷"),
    ("李雷", "Li Ming"),
    ("单雄信", "Dan Xiongxin"),
    ("Anna Smith", "Robert Smith"),
    ("J Smith", "A Smith"),
    ("Bob Smith", "Bob Jones"),
]


@pytest.mark.parametrize(("one", "other"), COMPATIBLE)
def test_names_that_may_be_one_person(one: str, other: str) -> None:
    assert not contradicts(one, other)
    assert not contradicts(other, one)


@pytest.mark.parametrize(("one", "other"), CONTRADICTING)
def test_names_that_cannot_be_one_person(one: str, other: str) -> None:
    assert contradicts(one, other)
    assert contradicts(other, one)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_compare_alike_both_ways(one: str, other: str) -> None:
    assert contradicts(one, other) == contradicts(other, one)
    assert not contradicts(one, one)


@given(st.lists(st.sampled_from("王李张单曾仇解查重乐吕行长A B*李雷 ang zh"), max_size=8))
def test_any_name_agrees_with_itself(letters: list[str]) -> None:
    name = "".join(letters)
    assert not contradicts(name, name)


def test_a_placeholder_is_no_name() -> None:
    assert display_form("  Guest ") is display_form("微信用户") is display_form("N/A") is None
    assert display_form(" Li   Lei ") == "Li Lei"
