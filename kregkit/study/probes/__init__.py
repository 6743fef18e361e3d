"""What is measured when a trial ends."""
