"""Numbers and names in words: the one place that rounds and labels."""
