"""Pieces of the pages of the docs that are written from figures."""

DISTURBED = 0.2  # processors that other programs kept busy


def disturbed(entry):
    """Whether the seconds of a row have to be measured again."""
    on_all_cores = entry["threads"] in (None, entry["machine"]["cores"])
    return not on_all_cores or (entry["others"] or 0) > DISTURBED


def list_table(header, widths, lines):
    """A table of a header, its cells separated by commas, and lines of cells."""
    rows = [header.split(","), *lines]
    text = [
        ".. list-table::",
        "   :class: figures",
        "   :header-rows: 1",
        f"   :widths: {widths}",
        "",
    ]
    for row in rows:
        text += [
            f"   {'*' if not number else ' '} - {cell}".rstrip() for number, cell in enumerate(row)
        ]
    return "\n".join([*text, ""])


def in_seconds(value):
    return f"{value:.2g} s" if value < 10 else f"{value:,.0f} s"


def machines(entries):
    """Where rows were measured, each place once."""
    found = []
    for entry in entries:
        facts = entry["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        text = (
            f"{facts['cores']} cores ({facts['processor']}), Python {facts['python']}, {versions}."
        )
        if text not in found:
            found.append(text)
    return " ".join(found)
