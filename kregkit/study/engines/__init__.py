"""Trains the trials of a study: schedule, worker processes, and the two engines."""
