"""What a cart costs with the vouchers, benefits and points of who pays: pure, and on the database.

`best_quote` decides; nothing in `cart`, `offers`, `stages`, `combine`, `allocate` and `points_paid`
knows of a database.
"""
