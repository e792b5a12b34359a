"""What an operation is: values, rules and ports. No I/O."""
