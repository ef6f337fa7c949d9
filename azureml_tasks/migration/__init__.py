"""From the files that a team has to the table: what each of their lines becomes. They are read, and never run."""
