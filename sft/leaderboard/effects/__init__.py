"""What each axis of a grid changes, and at what price: main effects, learning curves, calibration gains, fronts."""
