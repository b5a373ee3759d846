"""Says over HTTP what the pipeline says in Python: an interface with jobs and keys, a page, and a client."""
