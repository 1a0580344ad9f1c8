"""A fitted model on clips from outside its data set: videos and folders of frames."""
