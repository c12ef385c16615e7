"""Why a post was judged as it was: words, regions, moments and modalities that mattered."""
