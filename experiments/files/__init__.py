"""Files of a run: chunk results, checkpoints, weights, tables."""
