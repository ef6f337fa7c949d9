"""Write the table and the tasks, and compare tables."""
