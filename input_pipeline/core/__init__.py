"""What every room uses: clips, identifiers, errors, files, and how a command behaves."""
