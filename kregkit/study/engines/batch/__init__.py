"""The engine `batch`: many trials as one program."""
