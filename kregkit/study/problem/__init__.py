"""Models, losses, metrics, and `resolve`, which makes a study ready for training."""
