"""Training in several processes at once, on one machine or many, with Ray."""
