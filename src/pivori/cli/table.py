"""Tables as aligned plain text. A terminal that is too narrow gets folded cells; a pipe gets every line whole."""

from collections.abc import Collection, Sequence

from pivori.cli.wording import display_width

_GAP = "  "
_NARROWEST = 12


def lay_out(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = (), width: int | None = None
) -> list[str]:
    """The lines of a table, the headers first. ``right`` has the numbers of the columns that are aligned to the right.

    With ``width``, the widest columns are folded until the table fits in so many columns of a terminal, or until
    nothing more can be done.
    """
    widths = [display_width(header) for header in headers]
    for row in rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], display_width(cell))
    if width is not None:
        _narrow(widths, width - len(_GAP) * (len(widths) - 1))
    lines: list[str] = []
    for row in (headers, *rows):
        lines.extend(_lines_of_row(row, widths, right))
    return lines


def _narrow(widths: list[int], room: int) -> None:
    """Take columns from the widest until the sum fits."""
    while sum(widths) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        others = sorted(widths)[-2] if len(widths) > 1 else 0
        least = max(_NARROWEST, min(others, widths[widest] - 1))
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] = max(least, widths[widest] - (sum(widths) - room))


def _lines_of_row(row: Sequence[str], widths: list[int], right: Collection[int]) -> list[str]:
    """One row of cells, over as many lines as its tallest cell takes."""
    folded = [_fold(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for number in range(max(map(len, folded), default=0)):
        cells = []
        for column, parts in enumerate(folded):
            part = parts[number] if number < len(parts) else ""
            padding = " " * (widths[column] - display_width(part))
            cells.append(padding + part if column in right else part + padding)
        lines.append(_GAP.join(cells).rstrip())
    return lines


def _fold(cell: str, width: int) -> list[str]:
    """Cut a cell into pieces of at most ``width`` columns."""
    if display_width(cell) <= width:
        return [cell]
    pieces, piece, taken = [], "", 0
    for character in cell:
        size = display_width(character)
        if taken + size > width and piece:
            pieces.append(piece)
            piece, taken = "", 0
        piece += character
        taken += size
    return [*pieces, piece]
