"""`python -m srexp`."""

from srexp.cli import main

main()
