"""The batch match over all accounts of the hub: read, weigh, settle, and say what is to be done.

`hub.members.matching` knows what two people look like; here it meets the database. In order of
use: `reading` (profiles, opened), `models` (what a full run learnt), `features` (who changed, and
who else is to be compared), `judging` (which pairs are one person), `links` (who stands together
already), `deciding` (what is to be done), `plan_matches` (all of it, for one run).
"""
