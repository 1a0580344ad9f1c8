"""28x28 maps: composed from flow, imported, or synthetic."""
