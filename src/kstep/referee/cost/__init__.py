"""What a run costs (`savings`), beside every other way to run it (`methods`)."""
