"""Documents that are there twice: exactly, or nearly."""
