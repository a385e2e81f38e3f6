"""The soak: steady load with faults and rotations of the key; what workers hold must not grow."""
