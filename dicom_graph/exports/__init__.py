"""What the database tells in other forms than GraphQL: CSV, and the DICOM JSON Model."""
