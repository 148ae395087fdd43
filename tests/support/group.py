"""The sample group, configured in a test's database as `hub programme apply` would."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

import hub.entrypoints
from hub.crypto.keyring import Keyring
from hub.entrypoints.commands.programme import apply_group, read_group
from hub.jobs.runtime import Runtime

GROUP_FILE = Path(hub.entrypoints.__file__).with_name("sample_group.toml")
SECRETS = {
    "SAMPLE_SHOPIFY_SECRET": "shopify-secret",
    "SAMPLE_MEWS_SECRET": "mews-secret",
    "SAMPLE_SQUARE_SECRET": "square-secret",
    "SAMPLE_MEWS_CLIENT_TOKEN": "mews-client",
    "SAMPLE_MEWS_ACCESS_TOKEN": "mews-access",
    "SAMPLE_SQUARE_ACCESS_TOKEN": "square-access",
}


@dataclass(frozen=True, slots=True)
class Group:
    """A configured hub: its engine and keys, as a worker has them."""

    runtime: Runtime
    database_url: str

    @property
    def engine(self) -> AsyncEngine:
        return self.runtime.engine

    @property
    def keyring(self) -> Keyring:
        return self.runtime.keyring


async def configured(
    database_url: str, engine: AsyncEngine, *, sandbox_url: str = "http://127.0.0.1:9"
) -> Group:
    """Configure the sample group; the sandbox answers at `sandbox_url`."""
    keyring = Keyring.generate()
    group = read_group(GROUP_FILE, SAMPLE_SANDBOX_URL=sandbox_url, **SECRETS)
    await apply_group(database_url, keyring, group)
    return Group(Runtime(engine=engine, keyring=keyring), database_url)
