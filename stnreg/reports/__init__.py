"""Reports: tables, JSON, figures, HTML pages."""
