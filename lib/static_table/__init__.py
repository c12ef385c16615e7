"""Tables with one row per customer or machine, a label and no times: from mapping to scores."""
