"""Text to token ids: tokenizers behind one interface, the stage that encodes, the sink that trains one."""
