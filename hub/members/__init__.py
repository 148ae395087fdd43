"""One person across businesses: identifiers, accounts, links and profiles.

`resolve` says who was just seen; `display` shows members; `queries` finds them. The rules are in
`matching` (who is whom), `normalise` (one spelling per identifier) and `names` (when two names
cannot be one person's).
"""
