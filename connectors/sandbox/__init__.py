"""Plays the upstream systems of an invented group: a shop on Shopify, a hotel on Mews, a restaurant
on Square; and in `second` a few days of one business on each other system. It sends signed
webhooks to a hub and answers the hub's API calls; it knows nothing of the hub but its address and
the secrets it was given.

`python -m connectors.sandbox --port 8001` serves it; `connectors.sandbox.world.build` and
`connectors.sandbox.second.world.Second` give tests the same worlds as data,
`connectors.sandbox.load` as many orders as a benchmark wants.
"""
