"""``python -m tokfast``: the command line."""

from tokfast.cli import main

if __name__ == "__main__":
    main()
