"""Forms: `multipart/form-data`, and the files in it."""
