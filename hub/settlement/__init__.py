"""Obligations, periods, netting and statements."""
