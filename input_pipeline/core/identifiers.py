"""How subjects and clips are spelled, so that one person never counts as two.

The spelling is the MEGC 2019 composite list's: `sub01` (CASME II), `006` (SAMM), `s03` (SMIC);
CAS(ME)^3 has `spNO.1`.
"""

import re

from input_pipeline.core.errors import InputError

LONGEST = 100
_ANY_CASE = re.ASCII | re.IGNORECASE
_SUBJECT_FORMS = {
    "casme2": (re.compile(r"sub0*(\d{1,2})", _ANY_CASE), "sub{:02d}"),
    "samm": (re.compile(r"0*(\d{1,3})", _ANY_CASE), "{:03d}"),
    "smic": (re.compile(r"s0*(\d{1,2})", _ANY_CASE), "s{:02d}"),
    "casme3": (re.compile(r"spno\.?0*(\d{1,4})", _ANY_CASE), "spNO.{:d}"),
}


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


def canonical_subject(database: str, subject: str) -> str:
    """The subject in the composite list's spelling: SAMM's `6` becomes `006`, `SUB1` `sub01`.

    A database of one's own spells them as it likes. Raises InputError on a spelling unknown to one
    of the others: it might name a person twice.
    """
    if database not in _SUBJECT_FORMS:
        return subject
    pattern, spelling = _SUBJECT_FORMS[database]
    found = pattern.fullmatch(subject)
    if not found:
        raise InputError(
            f"the subject {subject!a} is not spelled like one of {database}, whose subjects look "
            f"like {spelling.format(3)}; correct it."
        )
    return spelling.format(int(found[1]))


def database_of(subject: str) -> str | None:
    """The database whose subjects are spelled like this one, or None."""
    for database, (pattern, _) in _SUBJECT_FORMS.items():
        if pattern.fullmatch(subject):
            return database
    return None
