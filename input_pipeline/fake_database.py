"""The command that writes a pretend database.

python -m input_pipeline.fake_database --database=casme2 --output=DIR
"""

import pathlib

from absl import flags

from input_pipeline.core import command
from input_pipeline.core.errors import InputError
from input_pipeline.databases.registry import STORED_DATASETS
from input_pipeline.pretend import database

_DATABASE = flags.DEFINE_enum(
    "database",
    None,
    STORED_DATASETS,
    f"Database to imitate, one of {', '.join(STORED_DATASETS)}.",
)
_OUTPUT = flags.DEFINE_string("output", None, "New or empty folder to write it to.")


def main() -> int:
    """Write the pretend database that the flags name; returns the exit status."""
    if not _DATABASE.value or not _OUTPUT.value:
        missing = "--output" if _DATABASE.value else "--database"
        raise InputError(f"{missing} is missing; name both --database=NAME and --output=DIR.")
    output = pathlib.Path(_OUTPUT.value).expanduser()
    database.write_database(_DATABASE.value, output)
    files = [path for path in output.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"pretend {_DATABASE.value}: {len(files)} files, {size / 1e6:.0f} MB in {output}")
    print("faces: a free portrait (scikit-image's astronaut, NASA); all numbers are invented")
    return 0


if __name__ == "__main__":
    command.run(
        main,
        name="input_pipeline.fake_database",
        purpose="Writes a small pretend database in a real one's layout, to try the pipeline on.",
    )
