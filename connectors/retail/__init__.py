"""Retail systems."""
