"""What every job does alike: options and paths checked first, one error message, progress."""
