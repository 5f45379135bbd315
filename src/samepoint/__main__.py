"""`python -m samepoint`: the same as the `samepoint` command."""

from samepoint.cli.main import main

if __name__ == "__main__":
    main()
