"""A typed client of the Group Membership Hub."""
