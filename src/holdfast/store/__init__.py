"""Where things lie: the database, all SQL, and the blobs."""
