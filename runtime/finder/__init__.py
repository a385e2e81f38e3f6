"""The finder: listing comparison, classification, deletion guard, checkpoints."""
