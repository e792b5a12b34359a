"""Client addresses in the form that limits by address use."""

from __future__ import annotations

import pytest

from api.limits.client_address_prefix import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:4711", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:a00:1", "10.0.0.1"),
        ("[::ffff:10.0.0.1]:4711", "10.0.0.1"),
        ("unknown", "unknown"),
        ("1:2", "1:2"),
        ("", ""),
    ],
)
def test_a_client_cannot_choose_another_network(address, network):
    assert network_of(address) == network
