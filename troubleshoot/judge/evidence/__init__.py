"""Readings that several causes share: what was tried, who answered, from how far, and on which way."""
