"""What can be used on this machine, and what each missing thing costs."""
