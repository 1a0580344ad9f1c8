"""What a compiled GPU program costs at a card's roof, counted from its text without the card."""
