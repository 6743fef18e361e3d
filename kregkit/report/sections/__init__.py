"""The parts of a page: what a report says, and in what order."""
