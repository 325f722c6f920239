"""Bytes of a page to the text a person came to read: charset, budgets, three engines, one stage."""
