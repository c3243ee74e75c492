"""What can be asked: which probes the facts known so far call for, by what they look at.

Steps and rules name the asks that they rest on; the plan puts those of one request into one order. Nothing here runs a
probe or touches a network.
"""
