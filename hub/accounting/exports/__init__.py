"""Journals as files that other books read in."""
