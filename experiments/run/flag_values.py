"""How flag values that are no plain words or numbers are read and written."""

import os
import re
from collections.abc import Collection

from absl import flags

from experiments.run import slurm


class IntegersParser(flags.ArgumentParser):
    """Parses 2,2,8 into a tuple of integers."""

    syntactic_help = "comma-separated integers"

    def parse(self, argument: str | tuple[int, ...]) -> tuple[int, ...]:
        """Return the integers; raises ValueError where a part is none."""
        if isinstance(argument, tuple):
            return argument
        try:
            return tuple(int(part) for part in str(argument).split(","))
        except ValueError:
            raise ValueError("give integers separated by commas, such as 2,2,8") from None


class WordsParser(flags.ArgumentParser):
    """Parses mirror,affine into a tuple of words, each of them a choice; none is no word."""

    def __init__(self, choices: Collection[str]) -> None:
        """The words that are allowed."""
        self.choices = [word for word in choices if word != "none"]
        self.syntactic_help = f"<{'|'.join(self.choices)}>, several separated by commas, or none"

    def parse(self, argument: str | tuple[str, ...]) -> tuple[str, ...]:
        """Return the words; raises ValueError where one is no choice or stands twice."""
        if isinstance(argument, tuple):
            return argument
        words = tuple(word.strip() for word in str(argument).split(","))
        if words == ("none",):
            return ()
        for word in words:
            if word not in self.choices or words.count(word) > 1:
                raise ValueError(f"give each of {', '.join(self.choices)} at most once, or none")
        return words


class ShardParser(flags.ArgumentParser):
    """Parses i/n, the i-th of n parts of the folds, i from 0; `slurm` reads SLURM's variables."""

    syntactic_help = "i/n or slurm"

    def parse(self, argument: str) -> tuple[int, int]:
        """Return (i, n); raises ValueError unless 0 <= i < n <= 10000."""
        if argument == "slurm":
            # The part itself is what settings and flags.txt then hold.
            argument = "{}/{}".format(*slurm.shard(os.environ))
        part, slash, parts = str(argument).partition("/")
        if not (slash and part.isdecimal() and parts.isdecimal()):
            raise ValueError("give a part and the number of parts, such as 0/4")
        if not 0 <= int(part) < int(parts) <= 10_000:
            raise ValueError(
                "the part counts from 0 and stays below the number of parts (0/4..3/4)"
            )
        return int(part), int(parts)


def is_cluster(address: str | None) -> bool:
    """Whether it is `auto`, or HOST:PORT of a Ray cluster; None is no cluster."""
    named = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", address or "", re.ASCII)
    return address in (None, "auto") or bool(named and 1 <= int(named[2]) <= 65_535)
