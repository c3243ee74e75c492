"""The command line: the console script, and one module for each command."""
