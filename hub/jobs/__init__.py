"""The broker, the schedule and the sweeper."""
