"""The lessons as pages below `learn/`, with a map of the network that leads to them."""
