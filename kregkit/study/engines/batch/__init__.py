"""The engine `batch`: trains many trials as one program."""
