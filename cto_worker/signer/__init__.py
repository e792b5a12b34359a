"""The signer: the only process that holds private keys. It signs what its policy allows, and returns no key.

Only :mod:`cto_worker.signer.client` is for other processes; it needs no package of the extra ``cto[solana]``.
The signer knows neither the store nor the network.
"""
