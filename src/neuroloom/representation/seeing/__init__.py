"""What units of a net respond to: saliency, receptive fields, preferred stimuli."""
