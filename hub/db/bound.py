"""Whether the policies of rows hold the role that the hub logs in as."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Unavailable

_MAY_BECOME = text("""
SELECT min(rolname) FROM pg_roles
WHERE (rolsuper OR rolbypassrls) AND pg_has_role(session_user, oid, 'SET')""")
_OWNER = text("""
SELECT session_user AS role, pg_get_userbyid(relowner) AS owner
FROM pg_class WHERE oid = to_regclass('member')""")


class RowsUnprotected(Unavailable):
    """The database's role would see rows whatever the policies say."""

    code = "rows_unprotected"


async def refuse_bypass(db: AsyncConnection) -> None:
    """Raise RowsUnprotected where the role that logged in can go past row-level security.

    Also where it is not the role that the tables belong to, whose policies let it work.
    """
    beyond = await db.scalar(_MAY_BECOME)
    if beyond is not None:
        raise RowsUnprotected(
            f"DATABASE_URL logs in as a role that is, or may become, {beyond!r}, which sees every "
            "row whatever the policies say (SUPERUSER or BYPASSRLS). Name a role of the hub's own "
            "in DATABASE_URL, and have a superuser make it and give it the database: "
            "`hub migrate --superuser postgresql://SUPERUSER:…@HOST/DATABASE`"
        )
    found = (await db.execute(_OWNER)).one_or_none()
    if found is not None and found.role != found.owner:
        raise RowsUnprotected(
            f"the tables are {found.owner!r}'s and DATABASE_URL logs in as {found.role!r}: log in "
            "as the former, or `hub migrate --superuser postgresql://SUPERUSER:…@HOST/DATABASE` "
            "to give all to the latter"
        )
