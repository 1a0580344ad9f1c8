"""What happens to the maps before a method reads them: normalised per clip, or mirrored."""
