"""What became of many pictures, for people and programs: report.html and report.json."""
