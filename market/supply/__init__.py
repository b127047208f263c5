"""Supply: what may be proposed for a need, as ranking reads it."""
