"""Who calls: clients with their secrets, members' sessions and passkeys, issuers of tokens."""
