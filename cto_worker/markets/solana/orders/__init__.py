"""Orders: their messages, their preparation, and what becomes of them."""
