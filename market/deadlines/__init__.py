"""Deadlines (限时办结): started and ended by use cases, moved by a job: reminders before, escalation after."""
