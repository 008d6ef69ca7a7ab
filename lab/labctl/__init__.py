"""Control of the lab: an OpenStack control plane on loopback that can be broken."""
