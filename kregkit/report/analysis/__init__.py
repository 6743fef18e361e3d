"""Statistics, operating points, contrasts, claims and verdicts of a study."""
