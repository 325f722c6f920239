"""Numbers and labels about a document; verdicts on them are the business of `filters`."""
