"""Carts at tills: quoted, set aside, redeemed, released and refunded, each as one thing."""
