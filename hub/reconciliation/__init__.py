"""Partners' own files against the ledger: matches and breaks."""
