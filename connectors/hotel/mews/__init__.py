"""Mews: a hotel's stays, their order items and its customers."""

from connectors.hotel.mews.dialect import Mews

connector = Mews()
