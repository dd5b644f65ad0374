"""Who is who over time: tracklets, animals, doubts, corrections, and how right it all is."""
