"""What names nobody: the Basic Application Confidentiality Profile (PS3.15 E)."""
