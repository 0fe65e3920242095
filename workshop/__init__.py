"""What a notebook of the workshop can say."""
