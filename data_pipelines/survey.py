"""What was read: an account of a source, before anything is learnt from it."""
