"""What a page is (sections, tables, figures), written as HTML and Markdown."""
