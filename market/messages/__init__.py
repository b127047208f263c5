"""Messages to people (消息): who is told of what, in-app, by mail and by webhook. Public notices are market.notices."""
