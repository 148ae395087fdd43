"""OPERA Cloud through OHIP: business events, stays, folio postings and guests' profiles."""

from connectors.hotel.ohip.dialect import Ohip

connector = Ohip()
