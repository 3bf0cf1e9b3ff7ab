"""A public server attacked by strangers, while a visitor beside them wants a page and a verdict."""
