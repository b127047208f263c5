"""Plans (整体派单方案): a node's whole queue assigned at the optimum, previewed, then approved in full or in part."""
