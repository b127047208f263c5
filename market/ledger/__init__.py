"""The ledger (服务台账): what institutions were asked for and did, counted by period from the events."""
