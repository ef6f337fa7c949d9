"""What commands leave for later ones: the records of a project, and the locks and notes of a user."""
