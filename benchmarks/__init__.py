"""One question a module, JSON out: what a part of corpusmill costs, beside a peer on the same work."""
