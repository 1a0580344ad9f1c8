"""Writes a small pretend database in a real one's layout, to try the pipeline on.

python -m input_pipeline.fake_database --database=casme2 --output=DIR
"""

import pathlib

from absl import flags

from input_pipeline.core import command
from input_pipeline.databases.registry import STORED_DATASETS

flags.DEFINE_enum(
    "database", None, STORED_DATASETS, f"Database to imitate, one of {', '.join(STORED_DATASETS)}."
)
flags.DEFINE_string("output", None, "New or empty folder to write it to.")
_SUBJECTS = flags.DEFINE_integer(
    "subjects",
    None,
    "So many subjects of each database, each with one clip of each class and without the dirt of "
    "the real releases; by default few clips with all of it.",
    lower_bound=2,
    upper_bound=999,
)


def main() -> int:
    """Write the pretend database that the flags name; returns the exit status."""
    name, output = command.required(database="NAME", output="DIR")
    # This loads NumPy's slower parts, which --help has no use for.
    from input_pipeline.pretend import database

    folder = pathlib.Path(output).expanduser()
    database.write_database(name, folder, _SUBJECTS.value)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"pretend {name}: {len(files)} files, {size / 1e6:.0f} MB in {folder}")
    print("faces: a free portrait (scikit-image's astronaut, NASA); all numbers are invented")
    return 0


if __name__ == "__main__":
    command.run(main, name="input_pipeline.fake_database", purpose=__doc__)
