"""What can be promised of decisions: selective error, audits, prediction sets. Arrays only; knows no model."""
