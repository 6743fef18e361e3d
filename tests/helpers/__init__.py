"""What several test modules share: models, stores, formulas and training loops."""
