"""What surrounds a deploy to AWS: what is asked before one, and how a stack is ended."""
