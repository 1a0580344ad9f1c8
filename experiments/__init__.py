"""Commands that train, evaluate and report; the only package that knows data and network."""
