"""Faults made on purpose: parts that can be killed, stopped and cut off, and what must hold all the same."""
