"""What a text model has learnt of identity terms: how it is judged, and how it is balanced."""
