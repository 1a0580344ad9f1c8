"""Networks and training loops in PyTorch that this project is compared with."""
