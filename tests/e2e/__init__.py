"""A real server in a process of its own, driven over HTTP, by the CLI, and by other people's clients."""
