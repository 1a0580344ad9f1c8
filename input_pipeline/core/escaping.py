"""Text that is not ours (clips, subjects, folders) inside Markdown, spreadsheets and LaTeX.

A name shall show as it is: no markup, no formula and no command of it takes effect.
"""

import re

_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {char: f"\\{char}" for char in "\\`*|[]~"}
# An underscore inside a word is no emphasis, and most names have one.
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# Bare addresses become links.
_LINK = re.compile(r":(?=//)|(?<=www)\.|@", re.IGNORECASE)
_LATEX = (
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {char: f"\\{char}" for char in "&%$#_{}"}
    | {"µ": r"$\mu$", "±": r"$\pm$"}
)
# As OWASP's page on CSV injection lists them, with the wide forms that some programs take alike.
_FORMULA_MARKS = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?"
_NUMBERS = re.compile(rf"{_NUMBER}( (±|to) {_NUMBER})*")


def markdown(text: str) -> str:
    """The text for a line or a table's cell of Markdown: no HTML, link, emphasis or new cell."""
    shown = "".join(_MARKDOWN.get(char, char) for char in _one_line(text))
    shown = _LINK.sub(lambda found: f"&#{ord(found[0])};", shown)
    return _OUTER_UNDERSCORE.sub(r"\\_", shown)


def markdown_line(text: str) -> str:
    """The text as a paragraph or list item of its own: no heading or list begins with it."""
    shown = markdown(text).lstrip()
    return f"\\{shown}" if shown.startswith(("#", "+", "-", "=")) else shown


def csv_cell(text: str) -> str:
    """The text for a spreadsheet: an apostrophe stands before what would be a formula."""
    is_formula = text.lstrip(" ").startswith(_FORMULA_MARKS) and not _NUMBERS.fullmatch(text)
    return f"'{text}" if is_formula else text


def latex(text: str) -> str:
    """The text for LaTeX's text mode; a digit after ^ is raised, as in CAS(ME)^3."""
    shown = "".join(_LATEX.get(char, char) for char in _one_line(text))
    return re.sub(r"\\textasciicircum{}(\d)", r"$^\1$", shown)


def latex_row(cells: list[str] | tuple[str, ...]) -> str:
    r"""One row of a tabular; `\\` and rules take what begins with [ or * as their argument."""
    row = " & ".join(map(latex, cells)) + r" \\"
    return "{}" + row if row.startswith(("[", "*")) else row


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
