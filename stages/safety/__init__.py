"""What must not reach a model: personal data and abusive words."""
