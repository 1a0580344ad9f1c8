"""Reports of a build: tables and contact sheets."""
