"""Text made regular without changing what it says, and very long documents cut into pieces."""
