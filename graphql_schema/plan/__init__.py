"""Plans: an operation as one SQL statement and one builder of its answer (docs/adr/0010)."""
