"""Measures the trained models of a study, for the claims of a report."""
