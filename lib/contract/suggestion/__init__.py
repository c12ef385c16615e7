"""A mapping file suggested by what the files of a data set hold."""
