"""What is done to documents: one stage a file, pure functions first, the Stage class last."""
