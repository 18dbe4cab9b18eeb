"""The tab "Play": pictures that are made from a photo and its depth."""
