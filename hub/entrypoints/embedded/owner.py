"""Whom the hub logs in as: the owner of its database, whom row-level security holds.

A superuser sees every row, whatever the policies say. So the hub has a role of its own, and the
cluster's superuser is only asked to make it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg

ROLE = "hub"

_STANDS = """
SELECT EXISTS (SELECT FROM pg_roles r JOIN pg_database d ON d.datdba = r.oid
  WHERE r.rolname = $1 AND d.datname = current_database()
    AND r.rolcreaterole AND NOT r.rolsuper AND NOT r.rolbypassrls)"""
# Clusters of before had all made by the superuser, who keeps what belongs to the system.
_MAKE = """
DO $$
DECLARE
  thing record;
BEGIN
  IF to_regrole('{role}') IS NULL THEN
    CREATE ROLE {role};
  END IF;
  ALTER ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE PASSWORD '{password}';
  EXECUTE format('ALTER DATABASE %I OWNER TO {role}', current_database());
  FOR thing IN
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
      c.oid::regclass::text AS name
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'a', 'i')
        AND c.relkind = 'S')
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure::text
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    ORDER BY name LOOP
    EXECUTE format('ALTER %s %s OWNER TO {role}', thing.kind, thing.name);
  END LOOP;
END $$"""


def own(superuser_url: str, password: str) -> None:
    """Make the role, and the database its own with all that is in it; does nothing when it is.

    Blocking. One transaction: killed half-way, it begins anew.
    """
    with ThreadPoolExecutor(1) as apart:  # the caller's thread may have a loop that runs
        apart.submit(asyncio.run, _own(superuser_url, password)).result()


async def _own(superuser_url: str, password: str) -> None:
    connection = await asyncpg.connect(superuser_url)
    try:
        if not await connection.fetchval(_STANDS, ROLE):
            await connection.execute(_MAKE.format(role=ROLE, password=password))
    finally:
        await connection.close()
