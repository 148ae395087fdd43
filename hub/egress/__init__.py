"""What the hub tells subsidiaries: events of their customers, in signed calls that are retried."""
