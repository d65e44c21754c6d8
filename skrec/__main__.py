"""``python -m skrec``: the command line."""

from skrec._cli import cli


def main():
    """Run the command line."""
    cli(prog_name="skrec")


if __name__ == "__main__":
    main()
