"""Port forwardings of floating IPs: what is wanted, what stands in its way, what is wrong with those there are."""
