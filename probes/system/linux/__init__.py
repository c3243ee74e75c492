"""What only Linux offers: its netlink, its error queue, its constants. Imported from ``probes`` on Linux alone."""
