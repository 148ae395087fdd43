"""What each `hub` command does; hub.entrypoints.cli assembles them."""
