"""Methods without a network: what each reads of a clip, and how a fold is learnt and predicted."""
