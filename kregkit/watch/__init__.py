"""Measuring a model while it trains: its tensors, its losses and its steps."""
