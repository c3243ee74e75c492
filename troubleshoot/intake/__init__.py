"""What people write: a code, a target, and the request that the two make with the options."""
