"""Doubts about who somebody is, put to people. What a decision does is `hub.intake`'s."""
