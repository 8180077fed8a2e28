"""What several tests share: tiny scans, stores, towers and checkouts."""
