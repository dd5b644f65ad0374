"""From recordings to examples: what is asked for, cut and labelled; whole traces, events, sleep."""
