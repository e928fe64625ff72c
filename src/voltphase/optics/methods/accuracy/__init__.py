"""How far off a method is, estimated against exact light."""
