"""What a person may ask of the whole hub: everything held about them, and to be forgotten."""
