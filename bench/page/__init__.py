"""The report: one page of HTML and its pictures, drawn from result files."""
