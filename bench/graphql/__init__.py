"""Reads by GraphQL: what they cost by a plan, and by resolvers."""
