"""Other servers of the same models, each in the form its own documentation shows; none imports Assay."""
