"""Studies: a file is read, planned, resolved, trained and stored."""
