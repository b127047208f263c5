"""Importing: the facts that Zhipei ships, and files of items, institutions and offerings; all of a file or nothing."""
