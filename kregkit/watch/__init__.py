"""Measures a model while it trains: its tensors, loss terms and steps."""
