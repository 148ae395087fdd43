"""Keys, sealed fields and blind indexes: what the database holds of a person is unreadable alone.

`keyring` keeps the master keys in one file; `fields` encrypts single values under a data key per
account; `delivery` seals raw bodies; `blind_index` makes values findable without storing them.
"""
