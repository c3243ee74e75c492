"""Renderers: a report or a catalogue entry in, text out. None of them touches the network, a file or the clock."""
