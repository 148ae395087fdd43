"""Keys, field encryption and blind indexes."""
