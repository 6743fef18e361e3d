"""`python -m kregkit`."""

from kregkit.cli import main

main()
