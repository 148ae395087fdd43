"""What is owed to members for points, and when it becomes revenue."""
