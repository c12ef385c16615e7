"""The survival models of machines: fitted, blended, judged, kept and asked."""
