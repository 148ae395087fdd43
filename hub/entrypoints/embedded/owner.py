"""Whom the hub logs in as: the owner of its database, whom row-level security holds.

A superuser sees every row, whatever the policies say. So the hub has a role of its own, and a
superuser is only asked to make it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg

ROLE = "hub"

_STANDS = """
SELECT EXISTS (SELECT FROM pg_roles r JOIN pg_database d ON d.datdba = r.oid
  WHERE r.rolname = $1 AND d.datname = current_database()
    AND r.rolcreaterole AND NOT r.rolsuper AND NOT r.rolbypassrls)"""
_SAY = "SELECT set_config('hub.role', $1, true), set_config('hub.password', $2, true)"
# A database of before is its maker's with all that is in it, and its policies name that one.
_MAKE = """
DO $$
DECLARE
  me text := current_setting('hub.role');
  thing record;
BEGIN
  IF to_regrole(quote_ident(me)) IS NULL THEN
    EXECUTE format('CREATE ROLE %I', me);
  END IF;
  EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE PASSWORD %L',
    me, current_setting('hub.password'));
  EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), me);
  FOR thing IN
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
      c.oid::regclass::text AS name
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid
        AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure::text
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    ORDER BY name LOOP
    EXECUTE format('ALTER %s %s OWNER TO %I', thing.kind, thing.name, me);
  END LOOP;
  FOR thing IN SELECT polrelid::regclass AS name FROM pg_policy WHERE polname = 'owner' LOOP
    EXECUTE format('ALTER POLICY owner ON %s TO %I', thing.name, me);
  END LOOP;
  FOR thing IN SELECT rolname AS name FROM pg_roles WHERE rolname IN (
    'hub_reader', 'hub_member', 'hub_business', 'hub_staff', 'hub_finance', 'hub_admin') LOOP
    EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', thing.name, me);
  END LOOP;
END $$"""


def own(superuser_url: str, password: str, *, role: str = ROLE) -> None:
    """Make the role, and the database its own with all that is in it; does nothing when it is.

    Blocking. One transaction: killed half-way, it begins anew. Raises what the database raises.
    """
    with ThreadPoolExecutor(1) as apart:  # the caller's thread may have a loop that runs
        apart.submit(asyncio.run, _own(superuser_url, password, role)).result()


async def _own(superuser_url: str, password: str, role: str) -> None:
    connection = await asyncpg.connect(superuser_url)
    try:
        if not await connection.fetchval(_STANDS, role):
            async with connection.transaction():
                await connection.execute(_SAY, role, password)
                await connection.execute(_MAKE)
    finally:
        await connection.close()
