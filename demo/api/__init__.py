"""Functions for programs: the HTTP API and tools for language models (MCP)."""
