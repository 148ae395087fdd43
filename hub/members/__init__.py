"""One person across businesses: identifiers, accounts, links and profiles."""
