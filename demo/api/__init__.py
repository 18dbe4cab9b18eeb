"""What programs call: the page's HTTP API and its tools for language models (MCP)."""
