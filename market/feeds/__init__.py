"""The public log of what changed on lists and among offerings: as a page, as feeds, as an API to follow."""
