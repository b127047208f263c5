"""Conversations (留言): short letters on a need between those whom it concerns."""
