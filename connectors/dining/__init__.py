"""Restaurant systems."""
