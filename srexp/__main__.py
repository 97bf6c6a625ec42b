"""`python -m srexp`."""

from srexp.cli import run

if __name__ == "__main__":  # processes of a sweep import this module too
    run()
