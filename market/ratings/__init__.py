"""Ratings (好差评), and the rectifications (整改) that bad ones open."""
