"""From folders of pictures to batches of augmented crops."""
