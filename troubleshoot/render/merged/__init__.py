"""Many reports merged, in four forms: the screen, Markdown, an HTML page with the matrix as a picture, data."""
