"""What a run takes: measured on samples, forecast for all, shown while it runs, compared after."""
