"""Where the networks of maps look: occlusion, gradients and attention, put back onto the face."""
