"""The kinds of figures of a report, one module each."""
