"""A crowd of visitors, and a browser that times its pages."""
