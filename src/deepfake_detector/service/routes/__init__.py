"""The routes: thin, each hands on to what does the work."""
