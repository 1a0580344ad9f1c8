"""From the folds of a run to trained chunks: memory, plan, programs, progress."""
