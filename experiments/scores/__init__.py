"""Scores, tables and pictures of runs."""
