"""What people and scripts read: tables, JSON, pictures, pages."""
