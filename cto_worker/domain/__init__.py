"""The values, rules and ports of an operation. No I/O."""
