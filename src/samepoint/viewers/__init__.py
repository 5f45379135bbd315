"""Files that people look at: pictures and the report. Everything comes in ready; nothing is computed here."""
