"""Sets of settings to choose among inside the training subjects, one file a method."""
