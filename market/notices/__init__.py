"""Public notices (通知公告) of backbone nodes: news, events, deadlines of policies."""
