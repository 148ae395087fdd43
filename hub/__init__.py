"""The Group Membership Hub: one person, one balance, one settlement across a group's businesses."""
