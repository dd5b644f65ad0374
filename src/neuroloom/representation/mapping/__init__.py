"""From features to brains, behaviour and judgements, and back."""
