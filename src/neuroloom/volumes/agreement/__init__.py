"""How well labels, or images, agree with true ones; and one label made of several."""
