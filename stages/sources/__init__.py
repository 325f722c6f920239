"""Where documents come from: web archives, JSON, Parquet, Arrow, and folders of pages or text files."""
