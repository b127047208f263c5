"""Search: one protocol for the engines that find offerings, institutions and items; and what any of them needs."""
