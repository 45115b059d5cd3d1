"""The pages of docs/ that are made from the code: configuration.md and costs.md."""
