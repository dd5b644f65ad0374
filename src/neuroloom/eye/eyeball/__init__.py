"""From pupils to gaze: circles in space, the eyeball, tables of gaze."""
