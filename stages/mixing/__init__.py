"""Which documents a training mixture takes, how often, and in which order."""
