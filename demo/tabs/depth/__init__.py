"""Depth: the picture of depth, its colours and range."""
