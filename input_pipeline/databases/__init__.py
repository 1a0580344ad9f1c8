"""The databases as their authors deliver them: sheets, frames, labels, known defects."""
