"""Compare: the depth of two photos, of two sets of weights, or of a file."""
