"""What the service did, for everybody: figures in which nobody can be found."""
