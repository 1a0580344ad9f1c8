"""Which epoch's parameters give a fold's result, by the name after --select."""


def last(epochs: int) -> int:
    """The last of `epochs`: nothing is chosen by looking at held-out clips."""
    return epochs
