"""Moves events from the store's pub/sub to the send queue of each subscriber."""
