"""From video frames to aligned faces and landmarks."""
