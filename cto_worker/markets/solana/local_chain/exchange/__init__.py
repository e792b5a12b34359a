"""The local exchange: sells the demo tokens, behind the interface of an aggregator."""
