"""What may be written in a study file, and where a mistake in it stands."""
