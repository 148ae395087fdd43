"""Settings that cannot be read say which; a note that cannot be read is as good as none."""

from pathlib import Path

import pytest

from hub.config import Settings, load_settings
from hub.entrypoints.runtime import AlreadyRunning, sole_use
from hub.errors import Malformed


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "HUB_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_STATE_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "nonsense:secret"),
        ("DATABASE_URL", "mysql://me:secret@there/db"),
        ("DATABASE_URL", "postgresql://me:secret@there:port/db"),
        ("REDIS_URL", "http://:secret@there"),
        ("HUB_PORT", "secret"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(Malformed) as refused:
        load_settings()
    assert refused.value.field == variable
    assert "secret" not in refused.value.message


NOTES = ["{", "[1]", "null", "{}", '{"pid": "x"}', '{"pid": 99999999999999999999}']


@pytest.mark.parametrize("note", NOTES)
def test_a_broken_note_is_as_good_as_none(tmp_path: Path, note: str) -> None:
    (tmp_path / "runtime.json").write_text(note)
    assert load_settings().database_url is None


@pytest.mark.parametrize("note", NOTES)
def test_a_second_start_is_refused_whatever_the_note_says(tmp_path: Path, note: str) -> None:
    settings = Settings(state_dir=tmp_path)
    (tmp_path / "runtime.json").write_text(note)
    with sole_use(settings), pytest.raises(AlreadyRunning), sole_use(settings):
        raise AssertionError
