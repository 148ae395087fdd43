"""Settings, read once from the environment and, for the embedded default, from the running stack.

`DATABASE_URL` and `REDIS_URL` select external servers. Without them the settings come from the
file that `hub up` leaves in its state directory while it runs, so that `hub settle` in a second
terminal finds the servers the first one started.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub.errors import Malformed, Unavailable

APP_NAME = "group-membership-hub"


def default_state_dir() -> Path:
    """Return where state lives: /var/lib for root, the XDG state directory for anyone else.

    Root's servers run as another user, who could not reach a directory below root's home.
    """
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib") / APP_NAME
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / APP_NAME


class Settings(BaseSettings):
    """Everything that may differ between two installations. Variables are prefixed `HUB_`."""

    model_config = SettingsConfigDict(env_prefix="HUB_", populate_by_name=True)

    database_url: str | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "HUB_DATABASE_URL")
    )
    redis_url: str | None = Field(
        default=None, validation_alias=AliasChoices("REDIS_URL", "HUB_REDIS_URL")
    )
    state_dir: Path = Field(default_factory=default_state_dir)
    keyring_file: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    sandbox_port: int | None = None
    public_url: str | None = None
    max_body_bytes: int = 2 * 1024 * 1024
    graphiql: bool = True
    introspection: bool = True
    documents: Path | None = None
    only_documents: bool = False
    cors_origins: str = ""
    drain_seconds: float = Field(default=0.0, ge=0, le=600)
    operation_seconds: float = Field(default=20.0, gt=0)
    cost_per_minute: int = Field(default=2_000_000, ge=0)
    sockets: int = Field(default=2_000, ge=0)
    socket_idle_seconds: float = Field(default=60.0, gt=0)
    subscriptions_per_socket: int = Field(default=20, ge=1)
    subscriptions_per_caller: int = Field(default=200, ge=1)
    slow_milliseconds: int = Field(default=1000, ge=0)
    log_level: str = "info"
    pool_size: int = 8
    lease_seconds: int = 30
    keep_bodies_days: int = Field(default=180, ge=7)
    keep_denials_months: int = Field(default=12, ge=1)
    oidc: str = ""
    passkey_rp_id: str | None = None
    passkey_origins: str = ""
    code_sender: str | None = None
    code_sender_token: SecretStr | None = None

    @field_validator("database_url", "redis_url")
    @classmethod
    def _is_an_address(cls, url: str | None, field: Any) -> str | None:
        """Refuse what no driver could read; without quoting it, for it holds a password."""
        known = {"database_url": ("postgres",), "redis_url": ("redis", "unix")}[field.field_name]
        if url and not urlsplit(url).scheme.startswith(known):
            raise ValueError(f"an address that begins with {known[0]}…:// was expected")
        if url:
            urlsplit(url).port  # noqa: B018  (raises ValueError for what is no port)
        return url

    @field_validator("cors_origins", "passkey_origins")
    @classmethod
    def _are_origins(cls, origins: str) -> str:
        """Refuse what is no list of origins: with a star any page could ask."""
        for origin in origins.split():
            parts = urlsplit(origin)
            plain = f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in ("http", "https") or not parts.netloc or origin != plain:
                raise ValueError("origins such as https://app.example.com were expected")
        return origins

    @field_validator("code_sender")
    @classmethod
    def _is_a_gateway(cls, sender: str | None) -> str | None:
        """Refuse what no code could be sent to."""
        if sender and not sender.startswith(("https://", "http://", "file:")):
            raise ValueError("an https:// address or file:PATH was expected")
        return sender or None

    @property
    def keyring_path(self) -> Path:
        """Where the master keys are kept (see hub.crypto)."""
        return self.keyring_file or self.state_dir / "keyring.json"

    @property
    def runtime_path(self) -> Path:
        """Where a running `hub up` says how to reach its servers."""
        return self.state_dir / "runtime.json"

    @property
    def base_url(self) -> str:
        """The address under which senders reach this hub."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def sandbox_url(self) -> str:
        """Where the sample group's upstream systems are played: beside the hub's own port."""
        return f"http://127.0.0.1:{self.sandbox_port or self.port + 1}"

    def require_database_url(self) -> str:
        """Return the database's URL; raises Unavailable with the way out when there is none."""
        return _require(self.database_url, "DATABASE_URL")

    def require_redis_url(self) -> str:
        """Return the broker's URL; raises Unavailable with the way out when there is none."""
        return _require(self.redis_url, "REDIS_URL")


def _require(url: str | None, name: str) -> str:
    if not url:
        raise Unavailable(f"no server is known: run `make run`, or set {name}")
    return url


def _running_stack(path: Path) -> dict[str, Any]:
    try:
        runtime = json.loads(path.read_text())
        os.kill(int(runtime["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return {}
    return dict(runtime)


def load_settings() -> Settings:
    """Read the settings afresh (tests and the command line; servers use `settings()`).

    Raises Malformed naming the variable that cannot be read.
    """
    try:
        found = Settings()
    except ValidationError as bad:
        first = bad.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]).upper()
        variable = name if name.endswith("_URL") else f"HUB_{name}"
        raise Malformed(f"{variable}: {first['msg']}", field=variable) from None
    runtime = _running_stack(found.runtime_path)
    for name in ("database_url", "redis_url"):
        if not getattr(found, name) and runtime.get(name):
            setattr(found, name, runtime[name])
    for name in ("port", "sandbox_port"):
        if f"HUB_{name.upper()}" not in os.environ and runtime.get(name):
            setattr(found, name, int(runtime[name]))
    return found


@cache
def settings() -> Settings:
    """Return this process's settings, read once."""
    return load_settings()
