"""Discovery: what people look for and find; the indexes behind it, kept in step with the database."""
