"""Finding faces, judging their quality, and cutting them out."""
