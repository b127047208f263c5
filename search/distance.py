"""How far apart two words of letters are."""


def most_slips(word: str) -> int:
    """How many letters of a word may be wrong: one from five letters on, two from nine on, as in Meilisearch."""
    return 0 if len(word) < 5 else 1 if len(word) < 9 else 2


def distance(one: str, other: str, most: int) -> int | None:
    """Letters to add, drop, change or swap with a neighbour to make one of the other; None: more than `most`."""
    if abs(len(one) - len(other)) > most:
        return None
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return None
    return row[-1] if row[-1] <= most else None
