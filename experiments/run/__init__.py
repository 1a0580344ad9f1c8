"""What a run is asked to do, and the folder that holds it."""
