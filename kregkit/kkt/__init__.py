"""KKT conditions: whether data loss and penalties balance at a model's weights."""
