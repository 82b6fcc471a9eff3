"""The same result in four forms: terminal, JSON, Markdown, SVG."""
