"""From a crop to a logit, and from a logit to a calibrated probability."""
