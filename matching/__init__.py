"""Ranking of offerings for a need: pure functions over values and arrays, without I/O, knowing nothing of market.

Read in this order: `types` (what goes in and out), `rank` (the whole flow), then its steps: `understand`, `text`,
`encode`, `rules`, `past`, `columns`, `features`, `scorer`, `reasons`.
"""
