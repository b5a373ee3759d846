"""From probabilities to real, fake, uncertain or no face."""
