"""Posts of several modalities composed from pieces whose labels are known."""
