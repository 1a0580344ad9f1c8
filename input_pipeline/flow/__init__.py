"""Optical flow and strain of a clip, computed in parallel and cached."""
