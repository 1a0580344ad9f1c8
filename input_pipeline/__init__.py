"""From micro-expression databases and published maps to region-flow data sets.

Importing this package loads neither TensorFlow Datasets nor OpenCV, and never JAX.
"""
