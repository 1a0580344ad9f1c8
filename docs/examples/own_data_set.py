"""Maps of an own laboratory: read a folder, hold each subject out once, see the scores.

python docs/examples/own_data_set.py FOLDER

FOLDER holds samples.csv (database, subject, sample, label, map) and its 28x28 pictures, as
docs/data.md has it.
"""

import sys

import experiments.api as ahmsa


def main(folder: str) -> None:
    """Train a small network on the folder's maps and print what the report says."""
    clips = ahmsa.read_maps(folder, "mylab", layout="whole")
    print(f"{len(clips)} clips of the classes {', '.join(clips.class_names)}")
    run = ahmsa.loso(clips, "runs/mylab", model="small", epochs=5)
    pooled = run.scores()["pooled"]
    print(f"UF1 {pooled['uf1']:.4f}, UAR {pooled['uar']:.4f}")


if __name__ == "__main__":
    main(sys.argv[1])
