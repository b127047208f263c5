"""Background work: arq jobs and the relay that feeds them from the outbox."""
