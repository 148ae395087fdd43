"""An OpenID provider on loopback: it tells its keys and signs what it is asked to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from hub.clock import now

AUDIENCE = "https://hub.example.com"
RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")


@dataclass
class Provider:
    """What it tells is changed by tests."""

    url: str
    keys: dict[str, Any] = field(default_factory=lambda: {"rsa": RSA, "ec": EC, "ed": ED})
    down: bool = False
    extra: list[Any] = field(default_factory=list)
    discovered: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.down:
            return 503, b""
        if path == "/.well-known/openid-configuration":
            told = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovered}
            return 200, json.dumps(told).encode()
        keys = [{**key.as_dict(private=False), "kid": kid} for kid, key in self.keys.items()]
        return 200, json.dumps({"keys": [*keys, *self.extra]}).encode()

    def claims(self, **more: Any) -> dict[str, Any]:
        at = int(now().timestamp())
        plain = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": at, "exp": at + 300,
                 "roles": ["hub-staff"]}  # fmt: skip
        return {name: said for name, said in {**plain, **more}.items() if said is not None}

    def token(
        self, kid: str | None = "rsa", alg: str = "RS256", *, key: Any = None,
        typ: str | None = "at+jwt", header: dict[str, Any] | None = None, **more: Any
    ) -> str:  # fmt: skip
        named = {"alg": alg, "kid": kid, "typ": typ, **(header or {})}
        said = {name: value for name, value in named.items() if value is not None}
        signing = key or self.keys[kid or "rsa"]
        return jwt.encode(said, self.claims(**more), signing, [alg])


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Serve a provider for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = provider.answer(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
