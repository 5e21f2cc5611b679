"""The gate: a candidate's runs beside a reference's, judged in three values."""
