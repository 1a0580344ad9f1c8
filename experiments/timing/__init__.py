"""What the benchmark times, and the machine's floor beside it."""
