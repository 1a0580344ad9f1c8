"""Training on all clips: the model folder that predicts clips from outside the data set."""
