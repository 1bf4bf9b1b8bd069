"""The report of build folders as one self-contained HTML file."""
