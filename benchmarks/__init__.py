"""How fast things are, printed as medians and as ratios to the bare engine: `make benchmark`."""
