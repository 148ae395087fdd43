"""Occasions: what members are given on their birthday, or on the day they joined, once a year."""
