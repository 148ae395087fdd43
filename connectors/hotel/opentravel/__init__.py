"""OpenTravel XML: reservations and stays as hotels, channel managers and CRS exchange them."""

from connectors.hotel.opentravel.dialect import OpenTravel

connector = OpenTravel()
