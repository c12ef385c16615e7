"""Two models on the same requests: who decides for whom, and which of them keeps more money."""
