"""Tiers and entitlements."""
