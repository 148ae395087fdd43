"""Ladders and tiers: who stands where, what took them there, and until when."""
