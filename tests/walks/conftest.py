"""The templates are played by ``test_walks.py``; as they stand here they are no tests."""

collect_ignore_glob = ["*/*"]
