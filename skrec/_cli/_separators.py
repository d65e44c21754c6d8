"""What separates the columns of a text file, by name or by character."""

import click

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " "}


def as_separator(context, param, value):
    """Turn the name of a separator into the character, and refuse what cannot be one."""
    character = SEPARATORS.get(value, value)
    if character is not None and (
        len(character) != 1
        or not character.isascii()
        or character.isalnum()
        or character in '"\r\n\0'
    ):
        raise click.BadParameter(
            f"{value!r} is neither one of {', '.join(SEPARATORS)} nor one ASCII character "
            "that is no letter, digit or quote"
        )
    return character
