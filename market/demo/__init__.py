"""The demo: an invented Shenzhen with its province, and a year of history, so that every page has something to show."""
