"""What experiments.doctor looks at, one check a file; each gives lines, and none of them raises."""
