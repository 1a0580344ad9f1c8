"""The project's record: which runs are in it, how they are kept, and the page made from them."""
