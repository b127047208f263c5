"""What happens while somebody looks at a page."""
