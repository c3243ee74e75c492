"""The command line: the console script, its words, and one module for each command."""
