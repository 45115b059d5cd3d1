"""What `make check` asks of the sources, without running the product."""
