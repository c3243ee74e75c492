"""What only Windows has: Winsock's numbers and library, its providers, the port ranges that it keeps back."""
