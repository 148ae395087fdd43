"""Apaleo: a hotel's stays and the folios behind them."""

from connectors.hotel.apaleo.dialect import Apaleo

connector = Apaleo()
