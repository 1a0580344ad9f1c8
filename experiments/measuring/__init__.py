"""What waits for a GPU, measured part by part."""
