import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from hub.crypto.errors import KeyringCorrupt, KeyringExposed, KeyringMissing, KeyUnknown
from hub.crypto.keyring import Keyring, Purpose, ensure, load, save


def test_a_keyring_is_created_once_and_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keyring.json"
    created = ensure(path)
    assert ensure(path) == created == load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def _token_key(path: Path) -> bytes:
    return ensure(path).token_key()


def test_processes_that_start_at_once_agree_on_one_keyring(tmp_path: Path) -> None:
    with ProcessPoolExecutor(8) as pool:
        keys = set(pool.map(_token_key, [tmp_path / "keyring.json"] * 64))
    assert keys == {load(tmp_path / "keyring.json").token_key()}


def test_no_two_purposes_share_a_key() -> None:
    keyring = Keyring.generate()
    keys = {getattr(keyring, purpose.value).current for purpose in Purpose}
    assert len(keys) == len(Purpose)


def test_a_missing_keyring_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(KeyringMissing, match="restore"):
        load(tmp_path / "keyring.json")
    assert not (tmp_path / "keyring.json").exists()


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o620, 0o666])
def test_a_keyring_open_to_others_is_refused(tmp_path: Path, rights: int) -> None:
    path = tmp_path / "keyring.json"
    ensure(path)
    path.chmod(rights)
    with pytest.raises(KeyringExposed, match="chmod 600"):
        load(path)


def _break(document: dict[str, object], how: str) -> str:
    purpose = document["blind_index"]
    assert isinstance(purpose, dict)
    match how:
        case "format":
            document["format"] = 2
        case "purpose":
            del document["token"]
        case "active":
            purpose["active"] = 7
        case "short":
            purpose["keys"]["1"] = "c2hvcnQ="
        case "base64":
            purpose["keys"]["1"] = "not base64!"
        case "list":
            return "[]"
        case "cut":
            return json.dumps(document)[:40]
    return json.dumps(document)


@pytest.mark.parametrize("how", ["format", "purpose", "active", "short", "base64", "list", "cut"])
def test_a_broken_keyring_is_refused_with_the_way_out(tmp_path: Path, how: str) -> None:
    path = tmp_path / "keyring.json"
    ensure(path)
    path.write_text(_break(json.loads(path.read_text()), how))
    with pytest.raises(KeyringCorrupt, match="backup"):
        load(path)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_renewed_key_is_active_and_the_old_one_stays(tmp_path: Path, purpose: Purpose) -> None:
    before = ensure(tmp_path / "keyring.json")
    save(tmp_path / "keyring.json", before.renewed(purpose))
    after = load(tmp_path / "keyring.json")
    old, new = getattr(before, purpose.value), getattr(after, purpose.value)
    assert new.active == 2
    assert new.version(1) == old.current != new.current
    assert [p for p in Purpose if getattr(before, p.value) != getattr(after, p.value)] == [purpose]


def test_an_unknown_version_says_which() -> None:
    with pytest.raises(KeyUnknown, match="version 9 of the blind_index key"):
        Keyring.generate().blind_index.version(9)


def test_a_keyring_shows_no_key_when_printed() -> None:
    keyring = Keyring.generate()
    assert repr(keyring.token.current) not in repr(keyring)
    assert "versions" not in repr(keyring)
