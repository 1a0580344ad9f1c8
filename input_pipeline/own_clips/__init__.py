"""A user's own videos and folders of frames: read, cut into windows, spotted, made into maps."""
