"""Standing (我的排名): for an institution, why its offerings rank where they rank, and what would raise them."""
