"""Rewards: what members get for points, or for points and money."""
