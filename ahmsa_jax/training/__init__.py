"""Training of folds: one fold's step, the fold axis, and what a recipe can choose."""
