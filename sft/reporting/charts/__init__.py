"""Charts as Vega-Lite specifications: the page draws them, and `--figures` writes them as SVG."""
