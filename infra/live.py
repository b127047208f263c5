"""What happens to needs, told to the web processes: the name of the channel, and who asks for it to be told."""

from infra.db import Transaction

CHANNEL = "events"


def tell(tx: Transaction) -> None:
    """Have whoever watches look at the events once ``tx`` commits."""
    tx.channels_to_notify |= {CHANNEL}
