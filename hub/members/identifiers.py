"""What a sighting says about a person, read once: identifiers as blind indexes, and a profile."""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace
from datetime import date
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

KEPT_AS_GIVEN = {HintType.PHONE, HintType.EMAIL, HintType.BIRTHDAY, HintType.LOYALTY_ID}
LONGEST_AS_GIVEN = 200


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
    """All that a sighting's hints come to. An identifier is verified, evidence or shared.

    `as_given` is what was no value of its kind, in the source's own words: it says nothing of who
    somebody is, and whoever wrote it may want to correct it.
    """

    verified: tuple[Identifier, ...]
    evidence: tuple[Identifier, ...]
    traits: tuple[Trait, ...]
    as_given: tuple[Trait, ...] = ()
    shared: tuple[Identifier, ...] = ()

    @property
    def name(self) -> str | None:
        """The person's name, if the sighting states one."""
        return self._text(HintType.NAME)

    @property
    def birthday(self) -> str | None:
        """The person's birthday, if the sighting states one."""
        return self._text(HintType.BIRTHDAY)

    def _text(self, attribute: HintType) -> str | None:
        return next((t.text for t in self.traits if t.attribute is attribute), None)

    def showing(self, identifiers: Iterable[Identifier]) -> "Reading":
        """Return the same with more verified identifiers."""
        verified = {one.digest: one for one in (*self.verified, *identifiers)}
        evidence = tuple(one for one in self.evidence if one.digest not in verified)
        return replace(self, verified=tuple(verified.values()), evidence=evidence)

    def setting_apart(self, shared: Set[tuple[Kind, bytes]]) -> "Reading":
        """Return the same with the identifiers that many people share neither here nor there."""

        def is_shared(one: Identifier) -> bool:
            return any((one.kind, digest) in shared for digest in one.digests)

        return replace(
            self,
            verified=tuple(one for one in self.verified if not is_shared(one)),
            evidence=tuple(one for one in self.evidence if not is_shared(one)),
            shared=tuple(one for one in (*self.verified, *self.evidence) if is_shared(one)),
        )


@dataclass(frozen=True, slots=True)
class Manner:
    """How a business writes: the country of its phone numbers, the check of its loyalty numbers.

    `region` (ISO 3166) is where numbers without a country code are read; None: nowhere. `luhn`:
    whether the last digit of a loyalty number is a check digit.
    """

    region: str | None = None
    luhn: bool = False


def identify(keyring: Keyring, kind: Kind, normal: str) -> Identifier:
    """Index a normalised value."""
    indexes = blind_indexes(keyring, kind.name.lower(), normal)
    return Identifier(kind, tuple(index.digest for index in indexes), indexes[0].key_version)


def normaliser(kind: Kind, manner: Manner) -> Callable[[str], str | None]:
    """Return the function that gives values of `kind` their normal form."""
    match kind:
        case Kind.PHONE:
            return partial(normalise.phone, region=manner.region)
        case Kind.EMAIL:
            return normalise.email
        case Kind.ID_DOCUMENT:
            return normalise.id_document_hash
        case Kind.LOYALTY_ID:
            return partial(normalise.loyalty_id, luhn=manner.luhn)
        case Kind.UNIONID | Kind.OPENID:
            return normalise.opaque_id


def read(hints: Iterable[Hint], *, keyring: Keyring, manner: Manner, on: date) -> Reading:
    """Read the hints of a sighting `on` a day.

    What identifies nobody (a hotline, a placeholder, a mistyped number) is no identifier and no
    attribute; it is kept as it was given. A document number in the clear is not kept at all.
    Verified hints are read first: of several values for one attribute the first is kept.
    """
    verified: dict[bytes, Identifier] = {}
    evidence: dict[bytes, Identifier] = {}
    traits: dict[HintType, Trait] = {}
    as_given: dict[HintType, Trait] = {}
    for hint in sorted(filter(_is_readable, hints), key=lambda hint: not hint.verified):
        kind = _KINDS.get(hint.type)
        text = _plain(hint, on) if kind is None else normaliser(kind, manner)(hint.value)
        if text is None:
            given = hint.value.strip()[:LONGEST_AS_GIVEN]
            if given and hint.type in KEPT_AS_GIVEN:
                as_given.setdefault(hint.type, Trait(hint.type, given, verified=False))
            continue
        if kind is not None:
            identifier = identify(keyring, kind, text)
            if hint.verified:
                verified.setdefault(identifier.digest, identifier)
            elif identifier.digest not in verified:
                evidence.setdefault(identifier.digest, identifier)
            text = hint.value.strip() if kind is Kind.EMAIL else text
        traits.setdefault(hint.type, Trait(hint.type, text, hint.verified))
    return Reading(
        tuple(verified.values()),
        tuple(evidence.values()),
        tuple(traits.values()),
        tuple(as_given.values()),
    )


def _is_readable(hint: Hint) -> bool:
    return is_text(hint.value)


def _plain(hint: Hint, on: date) -> str | None:
    return (
        names.display_form(hint.value)
        if hint.type is HintType.NAME
        else normalise.birthday(hint.value, on=on)
    )
