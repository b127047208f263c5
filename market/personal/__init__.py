"""What people may know and want of their own personal data: who saw it, and that it is erased."""
