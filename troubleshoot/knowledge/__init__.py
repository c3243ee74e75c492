"""What is known: the catalogue as it is read, and how its sentences are filled."""
