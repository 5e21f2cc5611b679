"""Pages made of tables: the blocks that they say, and how those become HTML and Markdown."""
