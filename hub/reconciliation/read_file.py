"""Read a file as its mapping says."""

from collections.abc import Iterable, Iterator

from hub.programme.queries import Business
from hub.reconciliation.camt053 import read_camt053
from hub.reconciliation.mapping import MappingConfig, encoding_of
from hub.reconciliation.mt940 import read_mt940
from hub.reconciliation.rows import BadRow, PartnerRow
from hub.reconciliation.table_file import read_rows


def read_file(
    name: str, body: bytes, config: MappingConfig, businesses: Iterable[Business]
) -> Iterator[PartnerRow | BadRow]:
    """Yield a file's rows. A bank's statement is whole or nothing; of a table, rows may be bad.

    Raises Malformed for what is no such file.
    """
    if config.format == "mt940":
        return read_mt940(body, account=config.account, encoding=encoding_of(config))
    if config.format == "camt053":
        return read_camt053(body, account=config.account)
    return read_rows(name, body, config, businesses)
