"""Stand-ins of the vendors on 127.0.0.1, for demos and tests: strict about signatures and fields, truthful about what they took."""
