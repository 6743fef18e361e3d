"""Models, losses, and a study resolved against its data: ready for training."""
