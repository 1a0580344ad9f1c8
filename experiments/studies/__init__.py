"""Ablation studies: what they vary, their settings as runs, and the page of their results."""
