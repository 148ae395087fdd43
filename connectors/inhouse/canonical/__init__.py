"""The hub's own form: events by Standard Webhooks, and files with a column mapping."""

from connectors.inhouse.canonical.dialect import Canonical

connector = Canonical()
