"""How OpenTravel messages are delivered and answered. Facts: the OpenTravel Alliance's messages
(OTA 2003/05 namespace), as HTNG, AlpineBits and the large switches use them.
"""

import base64
import binascii
from collections.abc import Collection, Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

from connectors.hotel.opentravel.config import OpenTravelConfig
from connectors.hotel.opentravel.reading import decode_body, unwrapped
from connectors.hotel.opentravel.stay import stay_facts
from connectors.hotel.opentravel.xml import attribute, parse_xml
from hub.connector import (
    CanonicalEvent,
    Connection,
    Delivery,
    FactKey,
    Inbound,
    Outcome,
    Refused,
    ReplayProtection,
    Reply,
    SourceEvent,
    Spec,
    UpstreamClient,
    require_match,
)
from hub.errors import Malformed

_NAMESPACE = "http://www.opentravel.org/OTA/2003/05"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


class OpenTravel:
    """The dialect. Messages carry whole reservations and are proven by a password or a token; what
    they say has no version but the time of the last change, and no id that senders keep to.
    """

    spec = Spec(
        name="opentravel",
        title="OpenTravel XML",
        config=OpenTravelConfig,
        replay_protection=ReplayProtection.NONE,
        acknowledge_within_seconds=30,
    )

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the password of basic auth, or the token in the URL; see Connector.verify."""
        require_match(
            _token(inbound, connection.config.token_parameter),
            connection.secrets,
            what="the password or the token in the URL",
        )
        return Delivery(dedup_id=None)

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Answer without knowing the message; see `answer`."""
        if outcome is Outcome.ACCEPTED:
            return _xml(200, "OTA_HotelResNotifRS", "<Success/>")
        if outcome is Outcome.SIGNATURE_INVALID:
            return Reply(status=401, headers={"www-authenticate": "Basic"})
        # OpenTravel code list "Error Codes": 187 is "System currently unavailable".
        error = '<Errors><Error Type="1" Code="187">Try again later</Error></Errors>'
        return _xml(503, "OTA_HotelResNotifRS", error)

    def answer(self, outcome: Outcome, inbound: Inbound) -> Reply:
        """Answer a stored message in its own name, with its token; see Answering.answer."""
        if outcome is not Outcome.ACCEPTED:
            return self.acknowledge(outcome)
        try:
            outer, document = parse_xml(inbound.body)
            name, root = unwrapped(outer, document)
        except (Malformed, Refused):  # stored all the same, and a dead letter names the field
            return self.acknowledge(outcome)
        answer = f"{name.removesuffix('RQ')}RS" if name.endswith("RQ") else "OTA_HotelResNotifRS"
        token = attribute(root, "EchoToken")
        said = "" if token is None else f" EchoToken={quoteattr(token)}"
        return _xml(200, answer, "<Success/>", said=said, soap=outer == "Envelope")

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a message; see Connector.decode."""
        return decode_body(body)

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield what `event` says beyond the facts in `posted`; see Connector.map."""
        return [one for one in stay_facts(event, connection) if one.fact not in posted]

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Say that there is nobody to ask."""
        return "OpenTravel messages are only received: send one to prove the password."


def _token(inbound: Inbound, parameter: str) -> str | None:
    scheme, _, given = inbound.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    url = urlsplit(inbound.url)
    in_query = parse_qs(url.query).get(parameter)
    return in_query[0] if in_query else url.path.rsplit("/", 1)[-1]


def _xml(status: int, name: str, inner: str, *, said: str = "", soap: bool = False) -> Reply:
    document = f'<{name} xmlns="{_NAMESPACE}" Version="1.0"{said}>{inner}</{name}>'
    if soap:
        document = f'<s:Envelope xmlns:s="{_SOAP}"><s:Body>{document}</s:Body></s:Envelope>'
    return Reply(
        status=status,
        body=f'<?xml version="1.0" encoding="UTF-8"?>{document}'.encode(),
        headers={"content-type": "application/xml; charset=utf-8"},
    )
