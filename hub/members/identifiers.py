"""What a sighting says about a person, read once: identifiers as blind indexes, and a profile."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

from hub.connector import Hint, HintType, is_text
from hub.crypto.blind_index import blind_indexes
from hub.crypto.keyring import Keyring
from hub.members import names, normalise


class Kind(IntEnum):
    """Kinds of identifier, as they are numbered in `identifier_claim.kind`."""

    PHONE = 1
    EMAIL = 2
    ID_DOCUMENT = 3
    UNIONID = 4
    OPENID = 5
    LOYALTY_ID = 6

    @property
    def exclusive(self) -> bool:
        """Whether a person has one at a time, so that two different ones mean two people."""
        return self in _EXCLUSIVE


_EXCLUSIVE = {Kind.PHONE, Kind.ID_DOCUMENT, Kind.UNIONID}

_KINDS = {
    HintType.PHONE: Kind.PHONE,
    HintType.EMAIL: Kind.EMAIL,
    HintType.ID_DOCUMENT_HASH: Kind.ID_DOCUMENT,
    HintType.UNIONID: Kind.UNIONID,
    HintType.OPENID: Kind.OPENID,
    HintType.LOYALTY_ID: Kind.LOYALTY_ID,
}


@dataclass(frozen=True, slots=True)
class Identifier:
    """A normalised identifier as the database knows it.

    `digests` are its blind indexes, the active key's first; `key_version` is the active key's.
    """

    kind: Kind
    digests: tuple[bytes, ...]
    key_version: int

    @property
    def digest(self) -> bytes:
        """The blind index under the active key: what is stored, and what two are compared by."""
        return self.digests[0]


@dataclass(frozen=True, slots=True)
class Trait:
    """One attribute of a person as one source states it, in the form in which it is shown."""

    attribute: HintType
    text: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a sighting's hints come to. An identifier is verified or evidence, never both."""

    verified: tuple[Identifier, ...]
    evidence: tuple[Identifier, ...]
    traits: tuple[Trait, ...]

    @property
    def name(self) -> str | None:
        """The person's name, if the sighting states one."""
        return next((t.text for t in self.traits if t.attribute is HintType.NAME), None)


def identify(keyring: Keyring, kind: Kind, normal: str) -> Identifier:
    """Index a normalised value."""
    indexes = blind_indexes(keyring, kind.name.lower(), normal)
    return Identifier(kind, tuple(index.digest for index in indexes), indexes[0].key_version)


def normaliser(kind: Kind, region: str | None) -> Callable[[str], str | None]:
    """Return the function that gives values of `kind` their normal form."""
    match kind:
        case Kind.PHONE:
            return partial(normalise.phone, region=region)
        case Kind.EMAIL:
            return normalise.email
        case Kind.ID_DOCUMENT:
            return normalise.id_document_hash
        case Kind.LOYALTY_ID:
            return normalise.loyalty_id
        case Kind.UNIONID | Kind.OPENID:
            return normalise.opaque_id


def read(hints: Iterable[Hint], *, keyring: Keyring, region: str | None) -> Reading:
    """Read hints. What identifies nobody (a hotline, a placeholder) is left out altogether.

    `region` is the country in whose manner phone numbers without a country code are written.
    Verified hints are read first: of several values for one attribute the first is kept.
    """
    verified: dict[bytes, Identifier] = {}
    evidence: dict[bytes, Identifier] = {}
    traits: dict[HintType, Trait] = {}
    for hint in sorted(filter(_is_readable, hints), key=lambda hint: not hint.verified):
        kind = _KINDS.get(hint.type)
        if kind is None:
            text = _plain(hint)
        else:
            normal = normaliser(kind, region)(hint.value)
            if normal is None:
                continue
            identifier = identify(keyring, kind, normal)
            if hint.verified:
                verified.setdefault(identifier.digest, identifier)
            elif identifier.digest not in verified:
                evidence.setdefault(identifier.digest, identifier)
            text = hint.value.strip() if kind is Kind.EMAIL else normal
        if text is not None:
            traits.setdefault(hint.type, Trait(hint.type, text, hint.verified))
    return Reading(tuple(verified.values()), tuple(evidence.values()), tuple(traits.values()))


def _is_readable(hint: Hint) -> bool:
    return is_text(hint.value)


def _plain(hint: Hint) -> str | None:
    return (
        names.display_form(hint.value)
        if hint.type is HintType.NAME
        else normalise.birthday(hint.value)
    )
