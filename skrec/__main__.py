"""``python -m skrec``: the command line."""

import sys

from skrec import _interrupts


def main():
    """Run the command line."""
    _interrupts.raise_but_in_imports()
    try:
        from skrec._cli import cli

        cli(prog_name="skrec")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
