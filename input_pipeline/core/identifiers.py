"""What may be the name of a database, a subject, a clip or a class."""

from input_pipeline.core.errors import InputError

LONGEST = 100


def checked(text: str, what: str) -> str:
    """The identifier unchanged; raises InputError where it could not serve as part of a key."""
    if not text:
        raise InputError(f"the {what} is empty; name it as the database does.")
    if len(text) > LONGEST:
        raise InputError(
            f"the {what} '{text[:20]}...' has {len(text)} characters; allowed are {LONGEST}."
        )
    # Letters that look alike, and letters with accents written in two ways, would be two clips.
    if not text.isascii():
        odd = next(letter for letter in text if not letter.isascii())
        raise InputError(
            f"the {what} {text!a} holds {odd!a}, which is no ASCII character; allowed are the "
            "letters, digits and signs of ASCII; use the database's own spelling."
        )
    if "/" in text or "\\" in text or not text.isprintable() or text != text.strip():
        raise InputError(
            f"the {what} {text!a} holds a slash, a control character or a blank at an end; use "
            "the database's own spelling without them."
        )
    return text
