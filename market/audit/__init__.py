"""The audit trail (审计): who did what, chained so that nothing of it is changed or removed unnoticed."""
