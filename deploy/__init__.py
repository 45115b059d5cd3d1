"""What surrounds a deploy to AWS: what is asked before one, what a stack is kept by, and how it is ended."""
