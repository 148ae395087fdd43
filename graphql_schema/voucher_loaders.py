"""What resolvers of one request read vouchers through."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.codes import CodeKey
from hub.benefits.vouchers.key import known_key
from hub.benefits.vouchers.queries import (
    Voucher,
    VoucherEntry,
    VoucherNotice,
    VoucherPage,
    member_vouchers,
    voucher_entries,
    voucher_notices,
)
from hub.crypto.keyring import Keyring

if TYPE_CHECKING:
    from graphql_schema.loaders import Loader

_Read = Callable[[AsyncConnection, list[Any]], Awaitable[Mapping[Any, Any]]]


class VoucherLoaders:
    """The loaders of vouchers, made by `of` as all are."""

    def __init__(
        self, of: "Callable[[_Read], Loader[Any, Any]]", *, now: datetime, keyring: Keyring
    ) -> None:
        self._now = now
        self._keyring = keyring
        self.pages: Loader[tuple[VoucherPage, int], list[Voucher]] = of(self._pages)
        self.entries: Loader[int, list[VoucherEntry]] = of(
            lambda db, ids: voucher_entries(db, voucher_ids=ids)
        )
        self.notices: Loader[int, list[VoucherNotice]] = of(
            lambda db, ids: voucher_notices(db, member_ids=ids, now=self._now)
        )
        self._key: Loader[str, CodeKey | None] = of(self._keys)

    async def key(self) -> CodeKey | None:
        """Return what codes are made of; None when there is no voucher yet."""
        return await self._key.load("key")

    async def _pages(
        self, db: AsyncConnection, keys: list[tuple[VoucherPage, int]]
    ) -> Mapping[tuple[VoucherPage, int], list[Voucher]]:
        found = {}
        for page in {page for page, _ in keys}:
            ids = [member_id for of, member_id in keys if of == page]
            rows = await member_vouchers(db, member_ids=ids, page=page, now=self._now)
            found.update({(page, member_id): of_member for member_id, of_member in rows.items()})
        return found

    async def _keys(self, db: AsyncConnection, keys: list[str]) -> Mapping[str, CodeKey | None]:
        return dict.fromkeys(keys, await known_key(db, keyring=self._keyring))
