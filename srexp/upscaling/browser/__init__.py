"""A network as one HTML file: a page that enlarges a picture in the browser, and sends nothing."""
