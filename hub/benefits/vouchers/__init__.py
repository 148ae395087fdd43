"""Vouchers: campaigns, their codes, and what becomes of each."""
