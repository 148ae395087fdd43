"""Referrals: who was brought by whom, and when that counts for the one who brought them."""
