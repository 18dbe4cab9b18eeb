"""The tab "Many & video": several photos at once, and a short video."""
