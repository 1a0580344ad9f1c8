"""Every scored run on the 442 maps, failed ones too: who tries often finds a good figure by chance.

The list is kept by hand beside the kept runs, one line a run or a group of runs alike.
"""

import csv
import io
import pathlib

from ahmsa_jax.config import ConfigError
from input_pipeline.core.files import read_text
from input_pipeline.core.tables import Table

FILE = "scored_runs.csv"
COLUMNS = ("date", "what", "uf1", "uar", "remark")
_MOST_BYTES = 2**24


def read(root: pathlib.Path) -> list[dict[str, str]]:
    """The lines in their order, none without a list; raises ConfigError on a damaged one."""
    path = root / FILE
    try:
        reader = csv.DictReader(io.StringIO(read_text(path, _MOST_BYTES), newline=""))
        rows = list(reader)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"its header is not {','.join(COLUMNS)}")
        if any(None in row or None in row.values() for row in rows):
            raise ValueError("a row has not as many fields as the header")
    except FileNotFoundError:
        return []
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"'{path}' is damaged ({error}); mend it.") from None
    return rows


def table(root: pathlib.Path) -> Table:
    """The list for the page."""
    rows = [tuple(row[name] for name in COLUMNS) for row in read(root)]
    return Table("Every scored run", ("date", "run", "UF1", "UAR", "remark"), rows)
