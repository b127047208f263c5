"""Accounts, their roles, sessions and API tokens."""
