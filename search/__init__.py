"""Search: what a search text means, for the plain listings of today and the engines to come."""
