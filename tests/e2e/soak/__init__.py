"""Soak test: under steady load with faults and key rotations, memory and connections of the workers must not grow."""
