"""A fitted model on own videos, and where its network looks in each.

python docs/examples/own_video.py MODEL_DIR OUTPUT VIDEO...

Needs the extras preprocess and notebook.
"""

import sys

import experiments.api as ahmsa


def main(model_dir: str, output: str, videos: list[str]) -> None:
    """Predict the videos; table and pictures go to `output`."""
    model = ahmsa.load_model(model_dir)
    print(f"{model.name}, trained on {model.facts['dataset']}: {', '.join(model.class_names)}")
    table = ahmsa.predict(model, videos, output)
    print(table[["file", "status", "reason", "class", "onset", "apex"]].to_string())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
