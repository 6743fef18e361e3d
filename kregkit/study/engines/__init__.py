"""Who trains what: scheduling, worker processes, and the two engines."""
