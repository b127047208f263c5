"""What search engines of the web are told: which public pages there are, and which pages are none of theirs."""
